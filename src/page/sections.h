#pragma once

#include <span>
#include <string>
#include <string_view>

#include "page/report.h"

// The parts of a page in HTML. Each appends to `out`, reads the report alone and needs no script.

namespace paceline::page {

struct Source {
  const Json& report;
  const EventPlaces& places;
};

// `words` (markup) as a link to the first of these events that the page shows. `events`: a list of
// ids, one id, or null.
std::string linked(std::string_view words, const Json& events, const EventPlaces& places);

// The same; where no event is shown, a link to the first of these files in the table of evidence.
std::string sourced(std::string_view words, const Json& events, const Json& files,
                    const EventPlaces& places);

struct Column {
  std::string_view head;
  bool is_number = false;
};
// A table in a box of its own that scrolls; `label` is for who cannot see it.
void open_table(std::string& out, std::string_view label, std::span<const Column> columns,
                std::string_view classes = "");
void close_table(std::string& out);
void open_section(std::string& out, std::string_view id, std::string_view title,
                  std::string_view note = "");

void put_head(std::string& out, const Source& source);
void put_scorecard(std::string& out, const Json& scorecard, const EventPlaces& places);
void put_negative_tests(std::string& out, const Source& source);
void put_readiness(std::string& out, const Source& source);
void put_dimensions(std::string& out, const Source& source);
void put_steps(std::string& out, const Source& source);
void put_spreads(std::string& out, const Source& source);
void put_partitions(std::string& out, const Source& source);
void put_anomalies(std::string& out, const Source& source);
void put_recovery(std::string& out, const Source& source);
void put_clock(std::string& out, const Source& source);
void put_evidence(std::string& out, const Source& source);
void put_events(std::string& out, const Source& source);

// One fact in a list of facts; nothing for an empty one, unless it is said what that means.
void put_fact(std::string& out, std::string_view name, std::string_view markup,
              std::string_view if_empty = "");

}  // namespace paceline::page
