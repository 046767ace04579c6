import ts from 'typescript';
import { isTest, readText, sourceFiles } from './files.mjs';

/** Entry points read the environment, parse it once, and hand on what they found. */
const mayRead = (path) =>
  isTest(path) ||
  /^(packages\/testbed|bench|e2e|scripts|prisma|tools)\//.test(path) ||
  /\/main\.ts$/.test(path) ||
  // The set-up that a deployment runs once: an entry point too.
  path === 'packages/stack/src/setup.ts';

/** `process.env` appears only where a process begins, and in what tries the whole. */
export async function checkEnvironment() {
  const problems = [];
  const files = sourceFiles();
  for (const path of files.filter((each) => !mayRead(each))) {
    for (const line of readsOfEnvironment(path, readText(path))) {
      problems.push(`${path}:${line} reads process.env; take what it needs as an argument from main.ts.`);
    }
  }
  return { problems, note: `${files.length} files` };
}

/** The lines where code (not a comment or a string) reaches the environment. */
function readsOfEnvironment(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lines = [];
  const isProcess = (node) =>
    (ts.isIdentifier(node) && node.text === 'process') ||
    (ts.isPropertyAccessExpression(node) && node.name.text === 'process');
  const isEnv = (node) => node !== undefined && /^['"]?env['"]?$/.test(node.getText(source));
  const visit = (node) => {
    const found =
      (ts.isPropertyAccessExpression(node) && isProcess(node.expression) && isEnv(node.name)) ||
      (ts.isElementAccessExpression(node) && isProcess(node.expression) && isEnv(node.argumentExpression)) ||
      (ts.isVariableDeclaration(node) &&
        node.initializer !== undefined &&
        isProcess(node.initializer) &&
        ts.isObjectBindingPattern(node.name) &&
        node.name.elements.some((element) => isEnv(element.propertyName ?? element.name))) ||
      (ts.isImportDeclaration(node) &&
        /^(node:)?process$/.test(node.moduleSpecifier.text) &&
        node.importClause?.namedBindings !== undefined &&
        ts.isNamedImports(node.importClause.namedBindings) &&
        node.importClause.namedBindings.elements.some((element) =>
          isEnv(element.propertyName ?? element.name),
        ));
    if (found) lines.push(source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return lines;
}
