#include "page/frame.h"

#include <fmt/format.h>

#include "page/assets.h"
#include "page/escape.h"

namespace paceline::page {
namespace {

// Each state has a shape of its own, so that no colour is needed to tell them apart.
constexpr std::string_view kShapes = R"(<svg class="shapes" aria-hidden="true">
<symbol id="shape-green" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"/><path class="cut" d="M4.6 8.2l2.4 2.4 4.4-4.8"/></symbol>
<symbol id="shape-amber" viewBox="0 0 16 16"><path d="M8 1l7.5 14H.5z"/><path class="cut" d="M8 6v4.4M8 12v1.2"/></symbol>
<symbol id="shape-red" viewBox="0 0 16 16"><path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z"/><path class="cut" d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/></symbol>
<symbol id="shape-grey" viewBox="0 0 16 16"><path class="ring" d="M2 2h12v12H2z"/><path class="ring" d="M5 8h6"/></symbol>
</svg>
)";

}  // namespace

void open_page(std::string& out, std::string_view title, bool has_script) {
  std::string policy = fmt::format(
      "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'", kStyle.hash);
  if (has_script) policy += fmt::format("; script-src '{}'", kScript.hash);
  out += fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n{}",
      policy, html(title), kStyle.text, kShapes);
}

void close_page(std::string& out) {
  out += "</body>\n</html>\n";
}

}  // namespace paceline::page
