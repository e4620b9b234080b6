// rpc-websockets as its users write it: login, calls, events by name, errors.
import { Client } from 'rpc-websockets';

const [url, token] = process.argv.slice(2);
const client = new Client(url, { reconnect: false });
client.on('error', (error) => { throw error.error ?? error; });
await new Promise((resolve) => client.once('open', resolve));

const refused = await client.call('send', { text: 'too early' }).catch((error) => error);
const login = await client.login({ token });
const methods = await client.listMethods();
const subscribed = await client.subscribe(['turn.completed', 'turn.lost']);
const event = new Promise((resolve) => client.once('turn.completed', resolve));
const answer = await client.call('send', { text: 'good morning', peer_id: 'rpc-websockets' });
const told = await event;
const unsubscribed = await client.unsubscribe('turn.completed');
const again = await client.unsubscribe('turn.completed');
const unknown = await client.call('no.such.method').catch((error) => error);
const positional = await client.call('turns.get', [answer.turn_id]);
const closed = new Promise((resolve) => client.once('close', resolve));
client.close();
const code = await closed;

console.log(JSON.stringify({
  refused, login, methods, subscribed, answer, told, unsubscribed, again, unknown, positional, code,
}));
