# Style, script and markup of the page are files of their own; the page holds them, and names their hashes.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(page_assets ${CMAKE_BINARY_DIR}/generated/page/assets.cc)
set(page_scripts ${dir}/assets/axis.js ${dir}/assets/bands.js ${dir}/assets/report.js)
list(JOIN page_scripts "," page_script)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated/page)
add_custom_command(OUTPUT ${page_assets}
  COMMAND ${Python3_EXECUTABLE} ${dir}/embed.py ${page_assets} kStyle=${dir}/assets/report.css
          kScript=${page_script} kTimeline=${dir}/assets/timeline.html
  DEPENDS ${dir}/embed.py ${dir}/assets/report.css ${page_scripts} ${dir}/assets/timeline.html VERBATIM)
target_sources(paceline_page PRIVATE ${page_assets})
