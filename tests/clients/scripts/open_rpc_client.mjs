// @open-rpc/client-js over WebSocket: ids that are strings, 5 s for an answer, notifications whole.
import { Client, RequestManager, WebSocketTransport } from '@open-rpc/client-js';

const [url, token] = process.argv.slice(2);
const transport = new WebSocketTransport(url);
const sent = [];
const received = [];
const send = transport.connection.send.bind(transport.connection);
transport.connection.send = (data) => { sent.push(JSON.parse(data)); send(data); };
transport.connection.addEventListener('message', ({ data }) => received.push(JSON.parse(data)));

const client = new Client(new RequestManager([transport]));
const errors = [];
client.onError((error) => errors.push(error.message));
const notifications = [];
let completed;
const done = new Promise((resolve) => { completed = resolve; });
client.onNotification((notification) => {
  notifications.push(notification);
  if (notification.params.result?.kind === 'turn.completed') completed();
});

const connected = await client.request({ method: 'connect', params: { token } });
const subscribed = await client.request({ method: 'events.subscribe', params: {} });
const started = await client.request({ method: 'turns.start', params: { text: 'good morning' } });
await done;
const answer = await client.request({ method: 'turns.wait', params: [started.turn_id, 4000] });
const refused = await client.request({ method: 'turns.get', params: { turn_id: 't_none' } })
  .catch((error) => ({ code: error.code, message: error.message, data: error.data }));
client.startBatch();
const both = [client.request({ method: 'status' }), client.request({ method: 'sessions.none' })];
await null; // it collects a request only in the next microtask
client.stopBatch();
const batch = await Promise.allSettled(both);
client.close();

console.log(JSON.stringify({
  sent, received, errors, notifications, connected, subscribed, started, answer, refused,
  batch: batch.map(({ status, value, reason }) => [status, value?.running ?? reason?.code]),
}));
process.exit(); // its timers of five seconds outlive the answers
