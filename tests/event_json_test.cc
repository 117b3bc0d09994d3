// Payloads keep their bytes: as a line of JSON, and read again by us and by others.
#include "block/event_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/escaping.h"
#include "block/json_text.h"
#include "runtime/random.h"
#include "support/temporary_folder.h"

namespace forebay {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

std::string LineOf(const std::string& payload) {
  Event event;
  event.id = "x";
  event.payload = payload;
  std::string line;
  AppendEventJson(event, line);
  return line;
}

bool IsEmbedded(const std::string& payload) {
  return LineOf(payload) == R"({"id":"x","payload":)" + payload + "}";
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

// Payloads of which some reader of JSON makes something else, or nothing.
std::vector<std::string> OddPayloads() {
  return {"{\"a\":1}\0"s,
          "{\"a\":1}\0,\"id\":\"forged\""s,
          "\xEF\xBB\xBF{\"a\":1}",
          "{\n  \"a\": 1,\r\n  \"b\": 2\n}\n",
          " {\"a\":1}",
          "{\"a\":1} ",
          "1\n",
          R"("\ud800")",
          R"(["\udc00\ud800"])",
          R"("\ud800\u0041")",
          "\"\xED\xA0\x80\"",
          "\"\xFF\"",
          "\"a\tb\"",
          Nested(kEmbeddedDepthMax + 1),
          Nested(200'000),
          std::string(200'000, '['),
          std::string(kEmbeddedDigitsMax + 1, '1'),
          "1e999999",
          "01",
          "1.",
          ".5",
          "+1",
          "1e",
          "-",
          "NaN",
          "nul",
          "truex",
          "[1,]",
          "[,1]",
          "{\"a\"}",
          "{\"a\":}",
          "{\"a\":1,}",
          "{a:1}",
          "[1}",
          "{\"a\":1]",
          "[1][2]",
          "{\"a\":1},\"id\":\"forged\"",
          "'a'",
          "\"\\x\"",
          "\"\\u12\"",
          "\"",
          "]",
          " ",
          "text"};
}

std::vector<std::string> PlainPayloads() {
  return {R"({"a":[1,2.50,"x\n}"],"payload":3})",
          R"({ "a" :	[ -0 , 1E+5 , 1.5e-7 ] , "b" : { } })",
          R"("\"\\\/\b\f\n\r\t\u00e9\ud83c\udf0a")",
          R"("\u0000")",
          "\"caf\u00e9 \U0001F30A \u2028 \u0085 \x7F\"",
          "\"\uFEFF\"",
          "null",
          "true",
          "false",
          "0",
          "-12.5",
          "[]",
          "{}",
          R"({"a":1,"a":2})",
          Nested(kEmbeddedDepthMax),
          std::string(kEmbeddedDigitsMax, '1')};
}

TEST(EventJson, OnlyJsonThatEveryReaderReadsStandsAsItIs) {
  for (const std::string& payload : PlainPayloads()) EXPECT_TRUE(IsEmbedded(payload)) << payload;
  for (const std::string& payload : OddPayloads()) {
    EXPECT_EQ(LineOf(payload),
              R"({"id":"x","payload_base64":")" + absl::Base64Escape(payload) + "\"}");
  }
}

// Some JSON, some of it spoilt, some just bytes.
class Payloads {
 public:
  std::string Next() {
    if (random_.Chance(0.1)) return Bytes();
    std::string text = Space() + Value(0) + Space();
    for (int i = 0; i < 3 && random_.Chance(0.2); i++) {
      static const std::string kSpoils = "\0\n\r\t\"\\{}[],:\xEF\xBB\xBF\xC3 01e"s;
      text.insert(random_.Below(text.size() + 1), 1, kSpoils[random_.Below(kSpoils.size())]);
    }
    return text;
  }

 private:
  std::string Bytes() {
    std::string bytes;
    for (uint64_t i = random_.Below(40); i > 0; i--) bytes += static_cast<char>(random_.Next());
    return bytes;
  }
  std::string Space() {
    static constexpr const char* kSpaces[] = {"", "", "", "", " ", "\t", "\n", "\r\n"};
    return random_.Chance(0.9) ? "" : kSpaces[random_.Below(std::size(kSpaces))];
  }
  std::string String() {
    static constexpr const char* kPieces[] = {
        "a",      "\\n",        "\\u0000", "\\ud83c\\udf0a", "\\\"",           "\\\\",
        "\u00e9", "\U0001F30A", "\u2028",  "\\ud800",        "\\udc00\\u0041", "\x7F"};
    std::string text = "\"";
    for (uint64_t i = random_.Below(4); i > 0; i--)
      text += kPieces[random_.Below(std::size(kPieces))];
    return text + "\"";
  }
  std::string Number() {
    static constexpr const char* kNumbers[] = {
        "0", "-0", "17", "-2.50", "1e5", "1E-7", "12345678901234567890"};
    return random_.Chance(0.01) ? std::string(5000, '7')
                                : kNumbers[random_.Below(std::size(kNumbers))];
  }
  std::string Value(int depth) {
    if (random_.Chance(0.002)) return Nested(random_.Below(2000));
    switch (random_.Below(depth < 4 ? 6 : 4)) {
      case 0:
        return "null";
      case 1:
        return "true";
      case 2:
        return Number();
      case 3:
        return String();
      default:
        return Container(random_.Chance(0.5), depth);
    }
  }
  std::string Container(bool object, int depth) {
    std::string text(1, object ? '{' : '[');
    const uint64_t count = random_.Below(4);
    for (uint64_t i = 0; i < count; i++) {
      if (i > 0) text += ",";
      if (object) text += Space() + String() + Space() + ":";
      text += Space() + Value(depth + 1) + Space();
    }
    return text + (object ? "}" : "]");
  }

  Random random_{20261201};
};

// One line for each payload: itself in base64, and what we make of it.
TEST(EventJson, AnyPayloadComesBackFromUsAndFromPython) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/lines";
  Payloads payloads;
  std::vector<std::string> all = OddPayloads();
  for (const std::string& plain : PlainPayloads()) all.push_back(plain);
  for (int i = 0; i < 20'000; i++) all.push_back(payloads.Next());
  int embedded = 0;
  {
    std::ofstream file(path);
    for (const std::string& payload : all) {
      const std::string line = LineOf(payload);
      EXPECT_EQ(line.find('\n'), std::string::npos);
      EXPECT_EQ(line.find('\r'), std::string::npos);
      const absl::StatusOr<Event> read = ParseEventJson(line);
      ASSERT_TRUE(read.ok()) << read.status() << line;
      EXPECT_EQ(read->payload, payload);
      embedded += IsEmbedded(payload) ? 1 : 0;
      file << absl::Base64Escape(payload) << "\t" << line << "\n";
    }
  }
  EXPECT_GT(embedded, 5000);
  EXPECT_GT(static_cast<int>(all.size()) - embedded, 2000);
  const std::string script = R"(
import base64, json, sys
for pair in open(sys.argv[1], encoding="utf-8", newline="\n"):
    payload, line = pair.rstrip("\n").split("\t", 1)
    payload = base64.b64decode(payload)
    event = json.loads(line)
    assert event["id"] == "x", line
    if "payload" in event:
        assert repr(event["payload"]) == repr(json.loads(payload)), line
        assert payload in line.encode(), line
    else:
        assert base64.b64decode(event.get("payload_base64", "")) == payload, line
)";
  std::ofstream(folder.path() + "/check.py") << script;
  EXPECT_EQ(std::system(("python3 " + folder.path() + "/check.py " + path).c_str()), 0);
}

TEST(EventJson, ComesBackAsItWas) {
  Event event;
  event.id = "id \"\\ \x1F \xC3\xA9";
  event.key = "k";
  event.time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  event.attributes = {{"b", "2"}, {"a", "1"}};
  for (const char* payload : {"", "{\"a\":[1,2.50,\"x\\n}\"],\"payload\":3}", "text", "12e400",
                              "\"quoted\"", "\xFF\x01"}) {
    event.payload = payload;
    std::string line;
    AppendEventJson(event, line);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    auto parsed = ParseEventJson(line);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << " " << line;
    EXPECT_EQ(*parsed, event) << line;
  }
}

TEST(EventJson, SaysWhatIsWrong) {
  EXPECT_THAT(ParseEventJson("{").status().message(), HasSubstr("JSON"));
  EXPECT_THAT(ParseEventJson("[]").status().message(), HasSubstr("object"));
  EXPECT_THAT(ParseEventJson("{\"id\":1}").status().message(), HasSubstr("'id'"));
  EXPECT_THAT(ParseEventJson("{\"ids\":\"1\"}").status().message(), HasSubstr("'ids'"));
  for (const char* time : {"noon", "infinite-past", ""}) {
    EXPECT_THAT(ParseEventJson(absl::StrCat("{\"time\":\"", time, "\"}")).status().message(),
                HasSubstr("must look like"));
  }
  EXPECT_THAT(ParseEventJson("{\"time\":\"noon\"}").status().message(), HasSubstr("noon"));
  EXPECT_THAT(ParseEventJson(R"({"id":"a","id":"b"})").status().message(), HasSubstr("twice"));
  EXPECT_THAT(ParseEventJson(R"({"payload":1,"payload_base64":"MQ=="})").status().message(),
              HasSubstr("beside 'payload'"));
  EXPECT_THAT(ParseEventJson(R"({"id":"\ud800"})").status().message(), HasSubstr("'id'"));
  EXPECT_THAT(ParseEventJson(R"({"id":"x"} {})").status().message(), HasSubstr("at byte 11"));
}

// Names mean what they say, however they are written.
TEST(EventJson, TakesAPayloadAsItStands) {
  EXPECT_EQ(ParseEventJson("{ \"payload\" :  { \"a\" : 1.50 }\t}")->payload, "{ \"a\" : 1.50 }");
  EXPECT_EQ(ParseEventJson(R"({"pay\u006coad":[1, 2]})")->payload, "[1, 2]");
  EXPECT_EQ(ParseEventJson(R"({"attributes":{"payload":"no"},"payload":1})")->payload, "1");
  const std::string deep = Nested(200'000);
  EXPECT_EQ(ParseEventJson("{\"pay\\u006coad\":" + deep + "}")->payload, deep);
}

TEST(EventJson, TakesNoLineThatIsMoreOrLessThanOneObject) {
  for (const std::string& line : {"{\"payload\":1}\0junk"s, "\xEF\xBB\xBF{}"s, "{} {}"s, ""s,
                                  "{\"id\":\"\xFF\"}"s, "\0"s, "{\"payload\":01}"s}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseEventJson(line).status())) << line;
  }
}

TEST(EventJson, EscapesWhatEndsALineOrCommandsATerminal) {
  std::string out;
  AppendJsonString("\x1B[2J \x7F \u009B \u2028 \u00e9 \u2027", out);
  EXPECT_EQ(out, R"("\u001b[2J \u007f \u009b \u2028 )"
                 "\u00e9 \u2027\"");
  EXPECT_EQ(*ReadJsonString(out), "\x1B[2J \x7F \u009B \u2028 \u00e9 \u2027");
  out.clear();
  AppendJsonString("a\xC3(\xF0\x9F", out);
  EXPECT_EQ(out, "\"a\uFFFD(\uFFFD\uFFFD\"");
  EXPECT_EQ(JsonForTerminal("{\"a\":\"\u009B\x7F\u00e9\"}\n"),
            "{\"a\":\"\\u009b\\u007f\u00e9\"}\n");
}

}  // namespace
}  // namespace forebay
