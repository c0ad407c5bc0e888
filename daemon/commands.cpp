#include "daemon/commands.hpp"

#include <cstdio>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "daemon/application.hpp"
#include "daemon/query_output.hpp"
#include "daemon/runtime/signals.hpp"
#include "storage/offline.hpp"

namespace plumbline::daemon {
namespace {

void print_errors(const std::vector<std::string>& errors) {
  for (const std::string& e : errors) fmt::print(stderr, "{}\n", e);
}

// application/x-www-form-urlencoded
std::string form_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if ((u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '-' || u == '_' || u == '.') out += c;
    else out += fmt::format("%{:02X}", u);
  }
  return out;
}

// Posts a form to a path of the daemon at this URL.
Result<http::Response> post_form(std::string base, std::string_view path, std::string form, Millis timeout) {
  while (base.ends_with('/')) base.pop_back();
  http::ClientRequest request;
  request.method = "POST";
  PLUMBLINE_TRY(request.url, http::parse_url(base + std::string(path)));
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = std::move(form);
  request.timeout = timeout;
  PLUMBLINE_TRY(const auto client, runtime::HttpClient::make());
  return client->send(request);
}

int print_report(const std::string& directory, const storage::VerifyReport& report) {
  for (const model::Problem& problem : report.problems) fmt::print("{}/{}\n", directory, problem.str());
  for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
  fmt::print("{}: {} ({} tables, {} series, {} segments with {} samples, {} event blocks with {} rows, {} journal files with {} records)\n",
             directory, report.problems.empty() ? std::string("ok") : fmt::format("{} problems", report.problems.size()), report.tables,
             report.series, report.segments, report.samples, report.blocks, report.rows, report.journal_files, report.records);
  return report.problems.empty() ? 0 : 1;
}

int refused(std::string_view command, const Error& error) {
  fmt::print(stderr, "plumbline {}: {}\n", command, error.message);
  return 1;
}

}  // namespace

int serve(const std::string& config_file, const config::Overrides& overrides) {
  auto checked = load_and_check(config_file, overrides);
  if (!checked) {
    print_errors(checked.error());
    return 1;
  }
  Application application(config_file, overrides, std::move(*checked));
  // Signals before any other thread, so that all of them inherit the mask.
  Mutex mutex;
  Condition wake;
  bool stop = false;
  auto signals = runtime::Signals::start([&](runtime::Signal signal) {
    if (signal == runtime::Signal::reload) {
      // A refused reload has logged its reasons; the old configuration goes on.
      if (const auto reloaded = application.reload(); !reloaded) return;
      return;
    }
    Lock lock(mutex);
    stop = true;
    wake.notify_all();
  });
  if (!signals) {
    fmt::print(stderr, "{}\n", signals.error().message);
    return 1;
  }
  if (const auto started = application.start(); !started) {
    application.log().error("cannot start", {{"error", started.error().message}});
    return 1;
  }
  {
    Lock lock(mutex);
    while (!stop) wake.wait(mutex);
  }
  application.stop();
  return 0;
}

int check(const std::string& config_file) {
  const auto checked = load_and_check(config_file, {});
  if (!checked) {
    print_errors(checked.error());
    return 1;
  }
  for (const config::Problem& warning : config::warnings_of(checked->config)) fmt::print(stderr, "warning: {}\n", warning.str());
  std::size_t rules = 0;
  for (const auto& group : checked->rules.groups) rules += group.rules.size();
  fmt::print("{}: good: {} rules in {} groups, {} slos, {} drift rules, {} receivers, {} scrape jobs\n", config_file, rules,
             checked->rules.groups.size(), checked->rules.slos.size(), checked->rules.drift.size(),
             checked->rules.receivers.size(), checked->jobs.size());
  return 0;
}

int query(const QueryArguments& arguments) {
  const auto complain = [](int status, std::string_view what) {
    fmt::print(stderr, "plumbline query: {}\n", what);
    return status;
  };
  const auto format = parse_query_format(arguments.format);
  if (!format) return complain(query_not_asked, format.error().message);
  const bool range = !arguments.start.empty();
  std::string form = "query=" + form_encode(arguments.expression);
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) form += fmt::format("&{}={}", name, form_encode(value));
  };
  if (range) {
    SystemClock clock;
    add("start", arguments.start);
    add("end", arguments.end.empty() ? fmt::format("{:.3f}", static_cast<double>(clock.now_ms()) / 1000.0) : arguments.end);
    add("step", arguments.step.empty() ? "60s" : arguments.step);
  } else {
    add("time", arguments.time);
  }
  // Longer than the daemon's own limit of a query.
  const auto response = post_form(arguments.url, range ? "/api/v1/query_range" : "/api/v1/query", std::move(form), std::chrono::minutes(3));
  if (!response) return complain(query_not_asked, response.error().message);
  const auto no_answer = [&](std::string_view why) {
    return complain(query_not_asked, fmt::format("{} answered {} with something that is not a query answer: {}", arguments.url,
                                                 response->status, why));
  };
  try {
    const auto answer = boost::json::parse(response->body);
    if (answer.at("status").as_string() != "success")
      return complain(query_refused, std::string_view(answer.at("error").as_string()));
    if (*format == QueryFormat::json) {
      fmt::print("{}\n", response->body);
    } else {
      const auto text = render(answer.at("data").as_object(), *format);
      if (!text) return no_answer(text.error().message);
      fmt::print("{}", *text);
    }
    for (const std::string_view kind : {"warnings", "infos"})
      if (const auto* notes = answer.as_object().if_contains(kind))
        for (const auto& note : notes->as_array())
          fmt::print(stderr, "{}: {}\n", kind.substr(0, kind.size() - 1), std::string_view(note.as_string()));
  } catch (const std::exception& e) {
    return no_answer(e.what());
  }
  return 0;
}

int backup(const std::string& url, const std::string& name) {
  const auto complain = [](std::string_view what) {
    fmt::print(stderr, "plumbline backup: {}\n", what);
    return 1;
  };
  // To another file system everything is copied: that may take hours.
  const auto response = post_form(url, "/api/v1/admin/backup", "name=" + form_encode(name), std::chrono::hours(12));
  if (!response) return complain(response.error().message);
  try {
    const auto answer = boost::json::parse(response->body);
    if (answer.at("status").as_string() != "success") return complain(std::string_view(answer.at("error").as_string()));
    const auto& data = answer.at("data").as_object();
    fmt::print("{}: {} files, {} bytes\n", std::string_view(data.at("path").as_string()), data.at("files").to_number<std::uint64_t>(),
               data.at("bytes").to_number<std::uint64_t>());
    const auto* warnings = answer.as_object().if_contains("warnings");
    if (warnings == nullptr) return 0;
    for (const auto& w : warnings->as_array()) fmt::print(stderr, "warning: {}\n", std::string_view(w.as_string()));
    return 1;
  } catch (const std::exception& e) {
    return complain(fmt::format("{} answered {} with something that is not an answer to a backup: {}", url, response->status, e.what()));
  }
}

int restore(const std::string& backup, const std::string& data_dir) {
  const auto log = make_stderr_log(LogLevel::warn);
  const auto report = storage::restore(backup, data_dir, nullptr, *log);
  return report ? print_report(data_dir, *report) : refused("restore", report.error());
}

int verify(const std::string& data_dir) {
  const auto log = make_stderr_log(LogLevel::warn);
  const auto report = storage::verify(data_dir, nullptr, *log);
  if (!report) return refused("verify", report.error());
  const int status = print_report(data_dir, *report);
  if (!report->problems.empty() && report->salvageable)
    fmt::print("plumbline verify --salvage {} repairs a damaged directory: it keeps what reads, moves the damaged files into a folder "
               "damaged-<n> and says what is lost\n", data_dir);
  return status;
}

int salvage(const std::string& data_dir) {
  const auto log = make_stderr_log(LogLevel::error);
  const auto report = storage::salvage(data_dir, nullptr, *log);
  if (!report) return refused("verify --salvage", report.error());
  if (!report->ended.empty())
    fmt::print("an interrupted salvage was ended: its report, of what was lost, is {}/{}/REPORT\n", data_dir, report->ended);
  for (const std::string& line : storage::lines_of(*report)) fmt::print("{}\n", line);
  if (!report->kept.empty())
    fmt::print("the damaged files and this report are in {}/{}: remove it when they are not wanted any more\n", data_dir, report->kept);
  return print_report(data_dir, report->after);
}

}  // namespace plumbline::daemon
