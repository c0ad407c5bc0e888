// What a look at a data directory found wrong.
#pragma once

#include <string>

namespace plumbline::model {

struct Problem {
  std::string file;   // below the data directory
  std::string place;  // record, offset or key; empty: the file as a whole
  std::string what;
  std::string help;
  std::string str() const { return file + (place.empty() ? "" : ": " + place) + ": " + what + (help.empty() ? "" : "; " + help); }
};

}  // namespace plumbline::model
