// Calls plumbline.v1.IngestService through @grpc/grpc-js and our .proto. Usage: grpc_ingest.mjs HOST:PORT PROTO_DIR
// Prints every answer as JSON.
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, protoDir] = process.argv.slice(2);
const definition = loader.loadSync("plumbline/v1/ingest.proto", {
  includeDirs: [protoDir], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
});
const { IngestService } = grpc.loadPackageDefinition(definition).plumbline.v1;
const service = new IngestService(address, grpc.credentials.createInsecure());
const now = Date.now();

const unary = (method, message) => new Promise((resolve, reject) =>
  service[method](message, (error, answer) => (error ? reject(error) : resolve(answer))));
const stream = (method, messages) => new Promise((resolve, reject) => {
  const call = service[method]((error, answer) => (error ? reject(error) : resolve(answer)));
  for (const m of messages) call.write(m);
  call.end();
});

const answers = {};
const { requests } = await import("./grpc_requests.mjs");
for (const [method, message] of requests(now)) {
  answers[method] = Array.isArray(message) ? await stream(method, message) : await unary(method, message);
}
service.close();
console.log(JSON.stringify({ now, answers }));
