// rpc-websockets with a token that nobody has made.
import { Client } from 'rpc-websockets';

const [url, token] = process.argv.slice(2);
const client = new Client(url, { reconnect: false });
await new Promise((resolve) => client.once('open', resolve));
const error = await client.login({ token }).then(() => ({}), (error) => error);
client.close();
console.log(JSON.stringify(error));
