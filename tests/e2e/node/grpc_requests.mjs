// What grpc_ingest.mjs sends: every call of plumbline.v1.IngestService; a list of messages is a client stream.
export function requests(now) {
  const ns = (ms) => String(ms) + "000000";
  const inference = (id, age, extra = {}) => ({
    model: "grpc-model", version: "7", prediction_id: id, time_ns: ns(now),
    features: { age: { number: age }, region: { text: "south" }, vip: { boolean: true }, embedding: { list: { values: [0.5, -1, 2] } } },
    prediction: { number: 1 }, score: 0.75, latency_ms: 3.5, segment: { channel: { text: "web" } }, ...extra,
  });
  return [
    ["PushMetrics", { series: [{ labels: { __name__: "grpc_metric", kind: "unary" }, samples: [{ time_ms: String(now), value: 0.1 }] },
                               { labels: { kind: "nameless" }, samples: [{ time_ms: String(now), value: 1 }] }] }],
    ["PushMetricsStream", [1, 2, 3].map((i) => ({
      series: [{ labels: { __name__: "grpc_metric", kind: "stream" }, samples: [{ time_ms: String(now - 1000 * i), value: i }] }] }))],
    ["PushLogs", { streams: [{ labels: { app: "grpc-logs" }, entries: [{ time_ns: ns(now), line: "unary line", fields: { user: "7" } }] }] }],
    ["PushLogsStream", [{ streams: [{ labels: { app: "grpc-logs" }, entries: [{ time_ns: ns(now + 1), line: "stream line" }] }] }]],
    ["PushInferences", { records: [inference("g1", 30), inference("g2", 40), { ...inference("g3", 0), features: { age: { text: "old" } } }] }],
    ["PushInferencesStream", [{ records: [inference("g4", 50)] }, { records: [inference("g5", 60)] }]],
    ["PushLabels", { labels: [{ model: "grpc-model", prediction_id: "g1", label: { number: 1 }, time_ns: ns(now) }] }],
    ["PushLabelsStream", [{ labels: [{ model: "grpc-model", prediction_id: "g2", label: { number: 0 }, time_ns: ns(now) }] }]],
  ];
}
