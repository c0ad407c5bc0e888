// Sends one resource's metrics, logs and spans through the real OpenTelemetry SDK and exporters.
// Usage: otel.mjs grpc|proto|json ENDPOINT SERVICE   (ENDPOINT: http://127.0.0.1:4317 or :4318)
// Prints what was sent as one line of JSON: the reader compares it with what Plumbline gives back.
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, endpoint, service] = process.argv.slice(2);
const suffix = { grpc: "grpc", proto: "proto", json: "http" }[protocol];
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${suffix}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${suffix}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${suffix}`);
const options = (signal) =>
  protocol === "grpc"
    ? { url: endpoint, compression: CompressionAlgorithm.GZIP }
    : { url: `${endpoint}/v1/${signal}`, compression: CompressionAlgorithm.GZIP };

const resource = resourceFromAttributes({
  "service.name": service,
  "service.instance.id": "model-1",
  "deployment.environment": "test",
});

// Metrics.
const reader = new PeriodicExportingMetricReader({
  exporter: new OTLPMetricExporter(options("metrics")),
  exportIntervalMillis: 3_600_000, // exported by forceFlush alone
});
const meters = new MeterProvider({
  resource,
  readers: [reader],
  views: [
    {
      instrumentName: "predict.duration",
      aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [0.1, 0.5, 1] } },
    },
  ],
});
const meter = meters.getMeter("model-server");
const requests = meter.createCounter("predict.requests", { unit: "1", description: "Predictions served" });
requests.add(41, { route: "/predict" });
requests.add(1, { route: "/predict" });
const duration = meter.createHistogram("predict.duration", { unit: "s" });
for (const seconds of [0.05, 0.2, 0.3, 2]) duration.record(seconds);
meter.createGauge("model.temperature", { unit: "Cel" }).record(36.625);
await meters.forceFlush();
await meters.shutdown();

// Spans: a parent and a child that failed.
const tracers = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(options("traces")))],
});
const tracer = tracers.getTracer("model-server", "1.2.3");
const parent = tracer.startSpan("POST /predict", { kind: SpanKind.SERVER, attributes: { "http.status_code": 500 } });
const child = tracer.startSpan("feature lookup", { attributes: { rows: 3, ratio: 0.5, cached: false } },
  trace.setSpan(context.active(), parent));
child.addEvent("retry", { attempt: 2 });
child.setStatus({ code: SpanStatusCode.ERROR, message: "feature store timed out" });
child.end();
parent.end();
await tracers.forceFlush();

// Logs: one in the parent's trace, and one inference record as an event.
const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(options("logs")) })],
});
const logger = loggers.getLogger("model-server");
const inTrace = trace.setSpan(context.active(), parent);
logger.emit({
  severityNumber: SeverityNumber.ERROR, severityText: "ERROR", body: `prediction failed over ${protocol}`,
  attributes: { "model.version": "3" }, context: inTrace,
});
logger.emit({
  eventName: "ml.inference",
  severityNumber: SeverityNumber.INFO,
  attributes: {
    model: `otel-${protocol}`, version: "3", prediction_id: `otel-${protocol}-1`,
    features: { age: 42.5, region: "north", premium: true }, prediction: 1, score: 0.875, latency_ms: 12.5,
  },
});
await loggers.forceFlush();
await loggers.shutdown();
await tracers.shutdown();

console.log(JSON.stringify({
  traceId: parent.spanContext().traceId, parentId: parent.spanContext().spanId, childId: child.spanContext().spanId,
}));
