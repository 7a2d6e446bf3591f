/**
 * Forwards connections with a delay, where the kernel cannot delay packets: each direction is late by
 * half of it. Rates are the kernel's business.
 *
 * Usage: node link.mjs ADDRESS PORT TO-ADDRESS TO-PORT DELAY-MS
 */
import { connect, createServer } from "node:net";

const [address, port, toAddress, toPort, delay] = process.argv.slice(2);
const oneWay = Number(delay) / 2;
/** Bytes under way in one direction; no more are taken until some have arrived. */
const WINDOW = 4 << 20;

function forward(from, to) {
  let underWay = 0;
  const later = (work) => setTimeout(() => work(), oneWay);
  from.on("data", (chunk) => {
    underWay += chunk.length;
    if (underWay > WINDOW) from.pause();
    later(() => {
      to.write(chunk, () => {
        underWay -= chunk.length;
        if (underWay <= WINDOW) from.resume();
      });
    });
  });
  from.on("end", () => later(() => to.end()));
  from.on("error", () => to.destroy());
  from.on("close", () => later(() => to.destroySoon()));
}

createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const server = connect({
    host: toAddress,
    port: Number(toPort),
    allowHalfOpen: true,
    noDelay: true,
  });
  forward(client, server);
  forward(server, client);
}).listen(Number(port), address, () => console.log("ready"));
