#include "drill/svg.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace forebay {
namespace {

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Path(const Svg::Points& points) {
  std::string out;
  for (const auto& [x, y] : points) absl::StrAppendFormat(&out, "%.1f,%.1f ", x, y);
  return out;
}

}  // namespace

double SvgWidth(const std::string& text, double size) {
  // Bytes that go on with a character are none of their own.
  const auto characters =
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return 0.58 * size * static_cast<double>(characters);
}

void Svg::Begin(double width, double height) {
  out_ = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
      "height=\"%.0f\" font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
      width, height, width, height);
}

std::string Svg::End() { return out_ + "</svg>\n"; }

void Svg::Rect(const Box& box, const Shape& shape) {
  absl::StrAppendFormat(&out_,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"",
                        box.x, box.y, box.width, box.height, shape.fill);
  if (shape.round > 0) absl::StrAppendFormat(&out_, " rx=\"%.1f\"", shape.round);
  if (shape.opacity < 1) absl::StrAppendFormat(&out_, " fill-opacity=\"%.2f\"", shape.opacity);
  absl::StrAppend(&out_, "/>\n");
}

void Svg::Line(double x1, double y1, double x2, double y2, const std::string& stroke) {
  absl::StrAppendFormat(&out_,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
                        x1, y1, x2, y2, stroke);
}

void Svg::PolyLine(const Points& points, const std::string& stroke) {
  absl::StrAppendFormat(&out_,
                        "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" "
                        "stroke-width=\"1.5\" stroke-linejoin=\"round\"/>\n",
                        Path(points), stroke);
}

void Svg::Area(const Points& points, double base, const Shape& shape) {
  if (points.empty()) return;
  Points closed = points;
  closed.emplace_back(points.back().first, base);
  closed.emplace_back(points.front().first, base);
  absl::StrAppendFormat(&out_, "<polygon points=\"%s\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
                        Path(closed), shape.fill, shape.opacity);
}

void Svg::Text(double x, double y, const std::string& text, const Type& type) {
  Write(text, type, absl::StrFormat("x=\"%.1f\" y=\"%.1f\"", x, y));
}

void Svg::UprightText(double x, double y, const std::string& text, const Type& type) {
  Write(text, type, absl::StrFormat("transform=\"translate(%.1f %.1f) rotate(-90)\"", x, y));
}

void Svg::Write(const std::string& text, const Type& type, const std::string& place) {
  absl::StrAppend(&out_, "<text ", place, " font-size=\"", type.size, "\" fill=\"", type.fill,
                  "\"");
  if (type.weight != 400) absl::StrAppend(&out_, " font-weight=\"", type.weight, "\"");
  if (type.anchor != "start") absl::StrAppend(&out_, " text-anchor=\"", type.anchor, "\"");
  if (!type.data.empty()) absl::StrAppend(&out_, " id=\"", type.data, "\"");
  absl::StrAppend(&out_, ">", Escaped(text), "</text>\n");
}

void Svg::Group(const std::string& tip) {
  absl::StrAppend(&out_, "<g><title>", Escaped(tip), "</title>\n");
}

void Svg::EndGroup() { absl::StrAppend(&out_, "</g>\n"); }

}  // namespace forebay
