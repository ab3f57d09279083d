# Turns the files of proxy/admin/page into functions that return their text:
#   cmake -DPAGE=<folder> -DOUTPUT=<file.cc> -P embed.cmake
# Raw string literals, cut into pieces because compilers warn beyond 64 KiB a literal.
function(embed function_name file)
  file(READ "${PAGE}/${file}" text)
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 15000 piece)
    string(APPEND pieces "    R\"regrow(${piece})regrow\"\n")
    math(EXPR at "${at} + 15000")
  endwhile()
  file(APPEND "${OUTPUT}.new" "std::string_view ${function_name}() {\n    return\n${pieces}    ;\n}\n")
endfunction()

file(WRITE "${OUTPUT}.new" "// Generated from proxy/admin/page by embed.cmake.\n#include \"proxy/admin/page.h\"\n"
     "namespace regrow::admin {\n")
embed(pageHtml index.html)
embed(pageStyle style.css)
embed(pageScript script.js)
file(APPEND "${OUTPUT}.new" "}  // namespace regrow::admin\n")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
