// The document of `rpc.discover` against the official meta-schema, by ajv. Says what is wrong.
import Ajv from 'ajv';
import draft7 from 'ajv/dist/refs/json-schema-draft-07.json' with { type: 'json' };
import openRpc from '@open-rpc/meta-schema';
import { readFileSync } from 'node:fs';

// The meta-schema refers to a meta-schema of JSON Schema by an address of its makers. That one is
// draft 7 under other names, so draft 7 stands there.
const { $schema, ...schema } = openRpc.openrpcDocument;
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
for (const $id of ['https://meta.json-schema.tools', 'https://meta.json-schema.tools/']) {
  const JSONSchemaObject = { properties: { $ref: { type: 'string' } } };
  ajv.addSchema({ ...draft7, $id, definitions: { ...draft7.definitions, JSONSchemaObject } }, $id);
}
const validate = ajv.compile(schema);
const problems = (document) => (validate(document) ? [] : validate.errors);
const document = JSON.parse(readFileSync(process.argv[2], 'utf-8'));

// Every schema in it must be one that a client can compile, with the others in reach.
const shared = new Ajv({ strict: false, validateFormats: false });
shared.addSchema({ $id: 'document', ...document });
const broken = [];
const compile = (schema, where) => {
  try {
    const rewritten = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
    return shared.compile(rewritten);
  } catch (error) {
    broken.push(`${where}: ${error.message}`);
    return null;
  }
};
// And each method's example must fit the schemas beside it.
for (const method of document.methods) {
  const byName = new Map(method.params.map((param) => [param.name, param]));
  const [example] = method.examples;
  for (const param of method.params) compile(param.schema, `${method.name} ${param.name}`);
  for (const { name, value } of example.params) {
    const fits = compile(byName.get(name)?.schema ?? false, `${method.name} ${name}`);
    if (fits && !fits(value)) broken.push(`${method.name} ${name}: ${shared.errorsText(fits.errors)}`);
  }
  const fits = compile(method.result.schema, `${method.name} result`);
  if (fits && !fits(example.result.value)) {
    broken.push(`${method.name} result: ${shared.errorsText(fits.errors)}`);
  }
}
const nameless = { ...document, methods: document.methods.map(({ name, ...rest }) => rest) };
console.log(JSON.stringify({
  problems: problems(document), broken, noticed: problems(nameless).length,
  methods: document.methods.length,
}));
