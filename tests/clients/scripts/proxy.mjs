// A reverse proxy that does what the operations page tells nginx to do, and no more.
import http from 'node:http';
import net from 'node:net';

const target = new URL(process.argv[2]);
const passed = (request) => {
  const before = request.headers['x-forwarded-for'];
  const peer = request.socket.remoteAddress;
  return { ...request.headers, 'x-forwarded-for': before ? `${before}, ${peer}` : peer };
};
const server = http.createServer((request, response) => {
  const { method, url: path } = request;
  const options = { host: target.hostname, port: target.port, method, path, headers: passed(request) };
  const upstream = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  request.pipe(upstream);
});
server.on('upgrade', (request, client, head) => {
  const upstream = net.connect(target.port, target.hostname, () => {
    const lines = Object.entries(passed(request)).map(([name, value]) => `${name}: ${value}\r\n`);
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  });
  for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
