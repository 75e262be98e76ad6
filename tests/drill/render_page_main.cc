#include <fstream>
#include <iostream>
#include <sstream>

#include "page/page.h"

// render-page REPORT [REPORT]: the page of a report, or of two side by side, to standard output.

namespace {

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

int main(int count, char** words) {
  if (count < 2 || count > 3) {
    std::cerr << "usage: render-page REPORT [REPORT]\n";
    return 2;
  }
  const auto page = count == 2 ? paceline::page::render(read(words[1]))
                               : paceline::page::render_comparison(read(words[1]), read(words[2]));
  if (!page) {
    std::cerr << "render-page: " << page.error().message << "\n";
    return 1;
  }
  std::cout << *page;
  return 0;
}
