#include "sinks/row.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status.h"
#include "base/utf8.h"

namespace forebay {

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && !absl::ascii_isdigit(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

std::string_view TimeText::Of(absl::Time time) {
  const bool nanoseconds = form_ == Form::kNanoseconds;
  const absl::Time second = absl::FromUnixSeconds(absl::ToUnixSeconds(time));
  if (second != second_) {
    text_ = absl::FormatTime(nanoseconds ? "%Y-%m-%dT%H:%M:%S." : "%Y-%m-%d %H:%M:%S.", second,
                             absl::UTCTimeZone());
    fraction_at_ = text_.size();
    text_ += nanoseconds ? "000000000Z" : "000000+00";
    second_ = second;
  }
  int64_t fraction = nanoseconds ? absl::ToInt64Nanoseconds(time - second)
                                 : absl::ToInt64Microseconds(time - second);
  for (size_t digit = nanoseconds ? 9 : 6; digit > 0; digit--, fraction /= 10) {
    text_[fraction_at_ + digit - 1] = static_cast<char>('0' + fraction % 10);
  }
  return text_;
}

absl::Status WhyNoRow(const SinkBatch& batch, Epoch stored_epoch, Offset stored_next) {
  if (stored_epoch > batch.epoch) {
    return absl::FailedPreconditionError(absl::StrCat("fenced: epoch ", stored_epoch.value(),
                                                      " has opened ", batch.partition.ToString(),
                                                      ", this is epoch ", batch.epoch.value()));
  }
  return absl::OutOfRangeError(absl::StrCat(
      "the sink is at epoch ", stored_epoch.value(), ", offset ", stored_next.value(),
      "; the batch is of epoch ", batch.epoch.value(), ", from offset ", batch.first.value()));
}

const char* WrongInText(std::string_view text) { return IsUtf8(text) ? nullptr : "is not UTF-8"; }

absl::Status CheckTexts(const Event& event,
                        absl::FunctionRef<const char*(std::string_view text)> wrong) {
  const auto check = [&](std::string_view what, std::string_view text) {
    const char* const found = wrong(text);
    if (found == nullptr) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("event '", Printable(event.id), "': its ", View(what), " ", found));
  };
  FOREBAY_RETURN_IF_ERROR(check("id", event.id));
  FOREBAY_RETURN_IF_ERROR(check("key", event.key));
  FOREBAY_RETURN_IF_ERROR(check("type", event.type));
  for (const auto& [name, value] : event.attributes) {
    FOREBAY_RETURN_IF_ERROR(check("attribute's name", name));
    FOREBAY_RETURN_IF_ERROR(check("attribute", value));
  }
  return absl::OkStatus();
}

absl::Status CheckName(const SinkBatch& batch, const SinkId& name) {
  if (batch.sink == name) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the sink was made with the name '", name.value(),
                                          "', its binding has '", batch.sink.value(),
                                          "'; give both the same name"));
}

}  // namespace forebay
