// What a browser does, by the interfaces Node shares with one. It sends `Origin`, which Node is told.
const [url, token, mine, other] = process.argv.slice(2);
const ticketFor = async (origin) => {
  const headers = { Authorization: `Bearer ${token}`, ...(origin ? { Origin: origin } : {}) };
  const response = await fetch(`${url}/ticket`, { method: 'POST', headers });
  return response.status === 200 ? (await response.json()).ticket : response.status;
};
const open = (query, origin, params) => new Promise((resolve) => {
  const headers = origin ? { origin } : {};
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws${query}`, { headers });
  socket.onopen = () => socket.send(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'connect', params: params ?? {} }));
  socket.onmessage = ({ data }) => {
    const { result, error } = JSON.parse(data);
    socket.close();
    resolve(result?.principal ?? error.data.kind);
  };
  socket.onclose = ({ code }) => resolve(code);
});

const ticket = await ticketFor(mine);
const tickets = [await ticketFor(mine), await ticketFor(''), await ticketFor(other)];
console.log(JSON.stringify({
  first: await open(`?ticket=${ticket}`, mine),
  again: await open(`?ticket=${ticket}`, mine),
  elsewhere: await open(`?ticket=${tickets[0]}`, ''),
  program: await open(`?ticket=${tickets[1]}`, ''),
  stranger: tickets[2],
  strange_page: await open('', other, { token }),
  first_message: await open('', mine, { token }),
  in_address: await open(`?token=${token}`, mine),
}));
