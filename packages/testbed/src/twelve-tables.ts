/**
 * A database that several projects share: twelve tables of theirs, with serial, identity, UUID and compound keys, rows that
 * lead to their project only through others, references to themselves and in a circle, and `users`, whom all share.
 */
export const TWELVE_TABLES = `
CREATE TABLE projects (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL);
CREATE TABLE collections (id bigserial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, name text NOT NULL,
  schema jsonb, cover_id uuid, UNIQUE (project_id, name));
CREATE TABLE documents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), collection_id bigint NOT NULL REFERENCES collections,
  parent_id uuid REFERENCES documents, title text NOT NULL, data jsonb, version numeric, created_at timestamptz);
ALTER TABLE collections ADD FOREIGN KEY (cover_id) REFERENCES documents;
CREATE TABLE files (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project_id int NOT NULL REFERENCES projects,
  document_id uuid REFERENCES documents, name text NOT NULL, content bytea, tags text[], size numeric(60, 20),
  name_length int GENERATED ALWAYS AS (length(name)) STORED);
CREATE TABLE functions (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, name text NOT NULL, code text);
CREATE TABLE github_repositories (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, url text,
  owner_id int REFERENCES users);
CREATE TABLE ssh_keys (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, name text, private_key text);
CREATE TABLE web_servers (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, host text,
  ssh_key_id int REFERENCES ssh_keys ON DELETE SET NULL);
CREATE TABLE deployments (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects, label text,
  repository_id int REFERENCES github_repositories, server_id int REFERENCES web_servers ON DELETE CASCADE,
  previous_id int REFERENCES deployments);
CREATE TABLE api_keys (id uuid PRIMARY KEY, project_id int NOT NULL REFERENCES projects, name text,
  key_hash text NOT NULL UNIQUE DEFAULT md5(gen_random_uuid()::text), created_by int REFERENCES users);
CREATE TABLE cors_configs (project_id int PRIMARY KEY REFERENCES projects, origins text[], enabled boolean);
CREATE TABLE function_domains (function_id int REFERENCES functions, domain text, PRIMARY KEY (function_id, domain));
CREATE SEQUENCE audit_numbers;
CREATE TABLE audit_logs (id bigint PRIMARY KEY DEFAULT nextval('audit_numbers'), project_id int NOT NULL, document_id uuid,
  at timestamptz NOT NULL, took interval, detail json, big bigint, ratio float8);
INSERT INTO users (email) SELECT 'user' || n || '@example.org' FROM generate_series(1, 3) n;
`;

/** As the API takes them. */
export const TWELVE_TABLE_SETTINGS = {
  tenant_column: 'project_id',
  tables: [
    { name: 'collections' },
    { name: 'documents', through: 'collection_id' },
    { name: 'files' },
    { name: 'functions' },
    { name: 'deployments' },
    { name: 'github_repositories' },
    { name: 'web_servers' },
    { name: 'ssh_keys' },
    { name: 'api_keys', generated: ['key_hash'] },
    { name: 'cors_configs' },
    { name: 'function_domains', through: 'function_id' },
    { name: 'audit_logs', references: { document_id: 'documents.id' } },
  ],
};

/** A project with so many documents, and about as many files and log entries; values are what a dump may get wrong. */
export function fillProject(id: number, documents: number): string {
  const hostile = `E'a\\tb\\nc\\rd\\\\e''f"g\\x01 \\\\. \\\\N größe 漢字 😀'`;
  return `INSERT INTO projects (id, name) VALUES (${id}, 'Project ${id}');
WITH made AS (INSERT INTO collections (project_id, name, schema)
  SELECT ${id}, 'c' || n, '{"a": [1, null, "x\\ty"], "n": 12345678901234567890.123456789}' FROM generate_series(1, 3) n RETURNING id, name)
INSERT INTO documents (collection_id, title, data, version, created_at)
  SELECT made.id, made.name || '-' || n, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'null'::jsonb
    ELSE jsonb_build_object('text', ${hostile}, 'n', n) END,
    1234567890123456789012345678901234567890.12 + n, '2024-02-29 23:59:59.123456+05:30'::timestamptz + n * interval '1 s'
  FROM made, generate_series(1, ${Math.ceil(documents / 3)}) n;
UPDATE documents d SET parent_id = (SELECT p.id FROM documents p WHERE p.collection_id = d.collection_id AND p.title LIKE '%-1' LIMIT 1)
  FROM collections c WHERE c.id = d.collection_id AND c.project_id = ${id} AND d.title NOT LIKE '%-1';
UPDATE collections c SET cover_id = (SELECT d.id FROM documents d WHERE d.collection_id = c.id AND d.title = c.name || '-1')
  WHERE project_id = ${id};
INSERT INTO files (project_id, document_id, name, content, tags, size)
  SELECT ${id}, d.id, 'file ' || d.title, decode(md5(d.title) || '00ff5c0a', 'hex'), ARRAY[${hostile}, NULL, '', '{}', 'NULL'],
    99999999999999999999999999.01234567890123456789
  FROM documents d JOIN collections c ON c.id = d.collection_id WHERE c.project_id = ${id};
INSERT INTO files (project_id, name) VALUES (${id}, ''), (${id}, ${hostile});
INSERT INTO functions (project_id, name, code) SELECT ${id}, 'f' || n, ${hostile} FROM generate_series(1, 4) n;
INSERT INTO function_domains SELECT id, name || '.example.org' FROM functions WHERE project_id = ${id};
INSERT INTO ssh_keys (project_id, name, private_key) SELECT ${id}, 'k' || n, ${hostile} FROM generate_series(1, 2) n;
INSERT INTO web_servers (project_id, host, ssh_key_id) SELECT ${id}, 'host-' || name, id FROM ssh_keys WHERE project_id = ${id};
INSERT INTO github_repositories (project_id, url, owner_id) VALUES (${id}, 'https://example.org/a', 1), (${id}, NULL, NULL);
INSERT INTO deployments (project_id, label, repository_id, server_id)
  SELECT ${id}, 'first on ' || w.host, r.id, w.id FROM web_servers w, github_repositories r
  WHERE w.project_id = ${id} AND r.project_id = ${id} AND r.url IS NOT NULL;
INSERT INTO deployments (project_id, label, previous_id) SELECT ${id}, 'after ' || label, id FROM deployments WHERE project_id = ${id};
INSERT INTO api_keys (id, project_id, name, created_by) SELECT gen_random_uuid(), ${id}, 'key' || n, 2 FROM generate_series(1, 3) n;
INSERT INTO cors_configs VALUES (${id}, ARRAY['https://a.example', NULL], true);
INSERT INTO audit_logs (project_id, document_id, at, took, detail, big, ratio)
  SELECT ${id}, f.document_id, CASE WHEN f.id % 5 = 0 THEN 'infinity' ELSE '0044-03-15 12:00:00 BC'::timestamptz END,
    interval '1 year 2 days -3:04:05.6', '{ "spaced" :
 1, "twice": 1, "twice": 2 }', 9223372036854775807 - f.id, CASE f.id % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN 0.1 + 0.2 END
  FROM files f WHERE project_id = ${id};
SELECT setval('projects_id_seq', (SELECT max(id) FROM projects));
`;
}
