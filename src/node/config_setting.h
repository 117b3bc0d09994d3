// A setting of the configuration file: name, meaning, limits, how it is read and shown. Reading,
// checking and `config show` all work from these, so that none of them can drift.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/units.h"

namespace forebay {

// A scalar of a section that is kept in an S.
template <typename S>
struct Setting {
  std::string name;
  std::string meaning;
  std::string limits;   // "1KiB to 4MiB"; empty: none
  std::string example;  // not empty: the setting is required, and this is a value it could have
  std::function<absl::Status(S&, const std::string&)> set;
  std::function<std::string(const S&)> show;
};

struct Doc {
  std::string name;
  std::string meaning;
  std::string example = "";
};

// 1 to 64 of a-z, 0-9, '-', '_' and '.', as BufferOptions::Validate asks.
absl::Status CheckName(const std::string& name);
inline constexpr char kNameLimits[] = "1 to 64 of a-z, 0-9, '-', '_' and '.'";

template <typename S, typename Name>
Setting<S> NameSetting(Doc doc, Name S::*field) {
  return {doc.name,
          doc.meaning,
          kNameLimits,
          doc.example,
          [field](S& into, const std::string& text) {
            absl::Status status = CheckName(text);
            if (status.ok()) into.*field = Name(text);
            return status;
          },
          [field](const S& from) { return (from.*field).value(); }};
}

template <typename S>
Setting<S> TextSetting(Doc doc, std::string limits, std::string S::*field) {
  return {doc.name,
          doc.meaning,
          std::move(limits),
          doc.example,
          [field](S& into, const std::string& text) {
            into.*field = text;
            return absl::OkStatus();
          },
          [field](const S& from) { return from.*field; }};
}

template <typename S, typename Number>
Setting<S> CountSetting(Doc doc, std::pair<uint64_t, uint64_t> range, Number S::*field) {
  std::string limits = absl::StrCat(range.first, " to ", range.second);
  return {doc.name,
          doc.meaning,
          limits,
          doc.example,
          [field, range, limits](S& into, const std::string& text) {
            uint64_t number = 0;
            if (!absl::SimpleAtoi(text, &number) || number < range.first || number > range.second) {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", text, "' must be a whole number, ", limits));
            }
            into.*field = static_cast<Number>(number);
            return absl::OkStatus();
          },
          [field](const S& from) { return absl::StrCat(from.*field); }};
}

template <typename S, typename Number>
Setting<S> SizeSetting(Doc doc, std::pair<uint64_t, uint64_t> range, Number S::*field) {
  std::string limits = absl::StrCat(SizeText(range.first), " to ", SizeText(range.second));
  return {
      doc.name,
      doc.meaning,
      limits,
      doc.example,
      [field, range, limits](S& into, const std::string& text) {
        const absl::StatusOr<uint64_t> size = ParseSizeText(text);
        if (!size.ok()) return size.status();
        if (*size < range.first || *size > range.second) {
          return absl::InvalidArgumentError(absl::StrCat("'", text, "' is out of range: ", limits));
        }
        into.*field = static_cast<Number>(*size);
        return absl::OkStatus();
      },
      [field](const S& from) { return SizeText(from.*field); }};
}

template <typename S>
Setting<S> DurationSetting(Doc doc, std::pair<absl::Duration, absl::Duration> range,
                           absl::Duration S::*field) {
  std::string limits = absl::StrCat(DurationText(range.first), " to ", DurationText(range.second));
  return {
      doc.name,
      doc.meaning,
      limits,
      doc.example,
      [field, range, limits](S& into, const std::string& text) {
        const absl::StatusOr<absl::Duration> duration = ParseDurationText(text);
        if (!duration.ok()) return duration.status();
        if (*duration < range.first || *duration > range.second) {
          return absl::InvalidArgumentError(absl::StrCat("'", text, "' is out of range: ", limits));
        }
        into.*field = *duration;
        return absl::OkStatus();
      },
      [field](const S& from) { return DurationText(from.*field); }};
}

// Words after one another, with commas.
template <typename S>
Setting<S> WordsSetting(Doc doc, std::string limits, std::vector<std::string> S::*field) {
  return {doc.name,
          doc.meaning,
          std::move(limits),
          doc.example,
          [field](S& into, const std::string& text) {
            into.*field = absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty());
            return absl::OkStatus();
          },
          [field](const S& from) { return absl::StrJoin(from.*field, ", "); }};
}

// One word of a list; bool is {{"true", true}, {"false", false}}.
template <typename S, typename E>
Setting<S> ChoiceSetting(Doc doc, std::vector<std::pair<std::string, E>> words, E S::*field) {
  std::vector<std::string> names;
  for (const auto& [word, value] : words) names.push_back(word);
  const std::string limits = absl::StrJoin(names, " | ");
  return {doc.name,
          doc.meaning,
          limits,
          doc.example,
          [field, words, names, limits](S& into, const std::string& text) {
            for (const auto& [word, value] : words) {
              if (word != text) continue;
              into.*field = value;
              return absl::OkStatus();
            }
            const std::string nearest = Nearest(text, names);
            return absl::InvalidArgumentError(
                nearest.empty() ? absl::StrCat("'", text, "' must be one of ", limits)
                                : absl::StrCat("'", text, "' must be one of ", limits,
                                               "; did you mean '", nearest, "'?"));
          },
          [field, words](const S& from) {
            for (const auto& [word, value] : words) {
              if (value == from.*field) return word;
            }
            return std::string();
          }};
}

// The same setting of a part of the section.
template <typename Outer, typename Inner>
Setting<Outer> Within(Inner Outer::*part, Setting<Inner> inner) {
  return {inner.name,
          inner.meaning,
          inner.limits,
          inner.example,
          [part, set = inner.set](Outer& into, const std::string& text) {
            return set(into.*part, text);
          },
          [part, show = inner.show](const Outer& from) { return show(from.*part); }};
}

}  // namespace forebay
