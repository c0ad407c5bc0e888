// A model server instrumented with prom-client: serves /metrics on a free port, prints the port, and its true values at
// every line read from standard input.
import http from "node:http";
import readline from "node:readline";
import client from "prom-client";

const registry = new client.Registry();
const served = new client.Counter({ name: "served_total", help: "Predictions\nserved", labelNames: ["model"], registers: [registry] });
const seconds = new client.Histogram({ name: "serve_seconds", help: "Latency", buckets: [0.1, 1], registers: [registry] });
const odd = new client.Gauge({ name: "odd_gauge", help: "odd \\ label", labelNames: ["path"], registers: [registry] });
served.inc({ model: "a" }, 12345678901);
for (const v of [0.05, 0.5, 5]) seconds.observe(v);
odd.set({ path: 'C:\\dir\n"x"' }, 0.1 + 0.2);

const server = http.createServer(async (_, response) => {
  response.setHeader("Content-Type", registry.contentType);
  response.end(await registry.metrics());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
readline.createInterface({ input: process.stdin }).on("close", () => process.exit(0));
