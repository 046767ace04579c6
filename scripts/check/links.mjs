import { posix } from 'node:path';
import { readText, repositoryFiles } from './files.mjs';

/** Every relative link of the documentation leads to a file (and heading) that a clone has. */
export async function checkLinks() {
  const files = repositoryFiles();
  const targets = new Set(files);
  // A link may name a folder too.
  for (const path of files) {
    for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) targets.add(at);
  }
  const pages = files.filter((path) => /^(README|CONTRIBUTING)\.md$|^docs\/.+\.md$/.test(path));
  const problems = ['README.md', 'CONTRIBUTING.md']
    .filter((page) => !targets.has(page))
    .map((page) => `${page} is missing.`);
  let links = 0;
  for (const page of pages) {
    for (const { target, line } of linksOf(readText(page))) {
      if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(target)) continue;
      links += 1;
      const [path = '', anchor] = decodeURIComponent(target).split('#');
      const file = path === '' ? page : posix.join(posix.dirname(page), path).replace(/\/$/, '');
      if (!targets.has(file)) problems.push(`${page}:${line} links to ${target}, which is not there.`);
      else if (anchor && file.endsWith('.md') && !headingsOf(readText(file)).has(anchor)) {
        problems.push(`${page}:${line} links to ${target}, but there is no such heading.`);
      }
    }
  }
  return { problems, note: `${pages.length} pages, ${links} links` };
}

/** Inline links, images and reference definitions; code is left out. */
function linksOf(markdown) {
  const found = [];
  const lines = withoutCode(markdown);
  for (const [index, text] of lines.entries()) {
    const inline = text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+["'][^)]*["'])?\s*\)/g);
    const defined = text.matchAll(/^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?/g);
    for (const match of [...inline, ...defined]) found.push({ target: match[1], line: index + 1 });
  }
  return found;
}

/** The anchors that GitHub makes of a page's headings. */
function headingsOf(markdown) {
  const anchors = new Set();
  for (const text of withoutCode(markdown, { inline: false })) {
    const heading = /^#{1,6}\s+(.+?)\s*#*$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(markdown, { inline = true } = {}) {
  let fence;
  return markdown.split('\n').map((line) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      return '';
    }
    if (fence !== undefined) return '';
    return inline ? line.replace(/(`+)(?!`).*?\1/g, '') : line;
  });
}
