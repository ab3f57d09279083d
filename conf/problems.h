#pragma once

#include <string>
#include <vector>

#include "conf/load.h"
#include "conf/tree.h"

namespace regrow::conf {

// Collects what is wrong while the whole file is read on. Lives for one load.
class Problems {
  public:
    Problems(std::string file, std::vector<Problem> found)
        : file_(std::move(file)), found_(std::move(found)) {}

    void add(const Node& at, std::string message) {
        found_.push_back({file_, at.line, at.column, std::move(message)});
    }
    bool empty() const { return found_.empty(); }
    // In the order of the file; at most a hundred, the rest counted.
    std::vector<Problem> take() &&;

  private:
    std::string file_;
    std::vector<Problem> found_;
};

}  // namespace regrow::conf
