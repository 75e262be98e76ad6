#include "page/page.h"

#include <fmt/format.h>

#include "page/assets.h"
#include "page/escape.h"
#include "page/frame.h"
#include "page/sections.h"
#include "page/timeline_data.h"

namespace paceline::page {
namespace {

constexpr std::string_view kContents =
    R"(<nav aria-label="Contents"><a href="#scorecard">Scorecard</a>
<a href="#timeline" class="scripted">Timeline</a> <a href="#steps">Faults</a> <a href="#milestones">Milestones</a>
<a href="#anomalies">Anomalies</a> <a href="#negative">Negative tests</a> <a href="#readiness">Readiness</a>
<a href="#dimensions">Dimensions</a> <a href="#recovery">Cost</a> <a href="#partitions">Partitions</a>
<a href="#evidence">Evidence</a> <a href="#events">Events</a></nav>
)";

void put_board(std::string& out, const Source& source) {
  out += "<div class=\"board\">\n";
  out +=
      "<section id=\"scorecard\" aria-labelledby=\"h-scorecard\"><h2 "
      "id=\"h-scorecard\">Scorecard</h2>\n";
  put_scorecard(out, list(source.report, "scorecard"), source.places);
  out += "</section>\n";
  out += kTimeline.text;
  out += "</div>\n";
}

}  // namespace

Result<std::string> render(std::string_view report_json) {
  TRY(const Json report, parse_report(report_json));
  const EventPlaces places(report);
  const Source source{report, places};
  std::string out;
  open_page(out, fmt::format("Drill {}: {}", text(report, "run_id"), text(report, "verdict")),
            true);
  put_head(out, source);
  out += kContents;
  out += "<main>\n";
  put_board(out, source);
  put_steps(out, source);
  put_spreads(out, source);
  put_anomalies(out, source);
  put_negative_tests(out, source);
  put_readiness(out, source);
  put_dimensions(out, source);
  put_recovery(out, source);
  put_clock(out, source);
  put_partitions(out, source);
  put_evidence(out, source);
  put_events(out, source);
  out += "</main>\n";
  out += fmt::format(
      "<script type=\"application/json\" id=\"data\">{}</script>\n<script>{}</script>\n",
      timeline_data(source), kScript.text);
  close_page(out);
  return out;
}

}  // namespace paceline::page
