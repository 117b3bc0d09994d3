// A table for a terminal.
#pragma once

#include <string>
#include <vector>

namespace forebay {

// Columns as wide as their widest cell; numbers are the caller's to group.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head);
  void Row(std::vector<std::string> cells);
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace forebay
