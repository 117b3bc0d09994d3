// forebay_model [--SIZE=N...] [--liveness] [--without-GUARD]...: docs/design/model.md#running-it.
// Exit status: 0 all holds, 1 an invariant breaks, 2 a state cannot finish, 3 stopped at
// --states-max with nothing found so far, which proves nothing, 64 unknown option.
#include <cstdio>
#include <string>
#include <vector>

#include "model/options.h"
#include "model/search.h"

int main(int argc, char** argv) {
  forebay::model::Options options;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const std::string wrong = forebay::model::ReadOptions(arguments, options); !wrong.empty()) {
    std::fprintf(stderr, "forebay_model: %s\n", wrong.c_str());
    return 64;
  }
  return static_cast<int>(forebay::model::Search(options).Run());
}
