// Pushes log lines through winston-loki. Usage: winston.mjs json|protobuf HOST_URL
import winston from "winston";
import LokiTransport from "winston-loki";

const [format, host] = process.argv.slice(2);
const transport = new LokiTransport({
  host, json: format === "json", batching: false, gracefulShutdown: false, timeout: 10_000,
  labels: { app: `winston-${format}` }, format: winston.format.printf((info) => String(info.message)),
  onConnectionError: (e) => { console.error(e); process.exit(1); },
});
const logger = winston.createLogger({ level: "debug", transports: [transport] });
logger.info(`served by winston over ${format}`);
logger.error({ message: `failed "quoted" é ${format}`, labels: { model: "credit" } });
await transport.flush();
logger.close();
console.log(JSON.stringify({ lines: [`served by winston over ${format}`, `failed "quoted" é ${format}`] }));
