// json-rpc-2.0 has no transport: once over `fetch`, once over `ws` with the server's notifications.
import jsonRpc from 'json-rpc-2.0';
import WebSocket from 'ws';

const { JSONRPCClient, JSONRPCServer, JSONRPCServerAndClient } = jsonRpc;
const [url, socketUrl, token] = process.argv.slice(2);
const Authorization = `Bearer ${token}`;

const overHttp = new JSONRPCClient(async (request) => {
  const response = await fetch(`${url}/rpc`, {
    method: 'POST',
    headers: { Authorization, 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  });
  if (response.status === 200) overHttp.receive(await response.json());
  else if (response.status !== 204) throw new Error(response.statusText);
});
const http = await overHttp.request('send', { text: 'over http' });
const error = await overHttp.request('turns.get', { turn_id: 't_none' }).catch((error) => error);
const batch = await overHttp.requestAdvanced([
  { jsonrpc: '2.0', id: 'a', method: 'status' },
  { jsonrpc: '2.0', id: 'b', method: 'send', params: { text: 'not here' } },
]);
overHttp.notify('status', {});

const socket = new WebSocket(socketUrl, { headers: { Authorization } });
const peer = new JSONRPCServerAndClient(
  new JSONRPCServer(),
  new JSONRPCClient((request) => socket.send(JSON.stringify(request))),
);
socket.on('message', (data) => peer.receiveAndSend(JSON.parse(data.toString())));
await new Promise((resolve) => socket.once('open', resolve));
const completed = new Promise((resolve) => {
  peer.addMethod('events.event', ({ result }) => {
    if (result.kind === 'turn.completed') resolve(result);
  });
});
peer.addMethod('events.caught_up', () => {});
await peer.request('events.subscribe', { filter: { kinds: ['turn.'] } });
const key = { text: 'over a socket', idempotency_key: 'one' };
const started = await peer.request('turns.start', key);
const again = await peer.request('turns.start', key);
const event = await completed;
const other = await peer.request('turns.start', { ...key, text: 'else' }).catch((error) => error);
socket.close();

console.log(JSON.stringify({
  http, error: { code: error.code, data: error.data }, batch, started, again, event,
  other: { code: other.code, data: other.data },
}));
