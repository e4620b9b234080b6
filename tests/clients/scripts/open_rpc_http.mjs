// @open-rpc/client-js over HTTP, with its own ids and a header.
import { Client, HTTPTransport, RequestManager } from '@open-rpc/client-js';

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const client = new Client(new RequestManager([new HTTPTransport(`${url}/rpc`, { headers })]));
const answer = await client.request({ method: 'send', params: { text: 'good morning' } });
const refused = await client.request({ method: 'send', params: {} })
  .catch((error) => ({ code: error.code, data: error.data }));
console.log(JSON.stringify({ answer, refused }));
