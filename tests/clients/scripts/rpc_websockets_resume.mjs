// rpc-websockets over a restart of the server: says `ready`, reconnects by itself, logs in again,
// and asks for what it missed by number. Ends when it has seen `wanted` turns complete.
import { Client } from 'rpc-websockets';

const [url, token, wanted] = process.argv.slice(2);
const client = new Client(url, { reconnect_interval: 100, max_reconnects: 0 });
const notifications = [];
const closes = [];
let after = null;
let completed = 0;

client.on('error', () => {}); // refused while the server is away; it tries again
client.on('close', (code) => closes.push(code));
client.on('events.event', (params) => {
  notifications.push({ seq: params.seq, prev_seq: params.prev_seq, kind: params.result.kind });
  after = params.seq;
  if (params.result.kind !== 'turn.completed') return;
  completed += 1;
  if (completed === 1) console.log(`seen ${params.seq}`);
  if (completed === Number(wanted)) {
    console.log(JSON.stringify({ notifications, closes }));
    client.setAutoReconnect(false);
    client.close();
  }
});
client.on('open', async () => {
  await client.login({ token });
  const { seq } = await client.call('events.subscribe', { after_seq: after });
  if (after === null) {
    after = seq;
    console.log(`ready ${seq}`);
  }
});
