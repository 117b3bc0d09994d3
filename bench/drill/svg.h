// Writes an SVG document, element by element. Texts are escaped.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace forebay {

inline constexpr char kInk[] = "#111827";
inline constexpr char kMuted[] = "#6b7280";
inline constexpr char kGrid[] = "#e5e7eb";
inline constexpr char kAxis[] = "#9ca3af";

// About how wide a text is, in pixels: a little more than it is in most fonts.
double SvgWidth(const std::string& text, double size);

class Svg {
 public:
  struct Box {
    double x = 0, y = 0, width = 0, height = 0;
  };
  struct Shape {
    std::string fill;
    double round = 0;
    double opacity = 1;
  };
  struct Type {
    std::string fill = kInk;
    double size = 12;
    int weight = 400;
    std::string anchor = "start";  // or middle, end
    std::string data = {};         // a name for programs that read the document
  };
  using Points = std::vector<std::pair<double, double>>;

  void Begin(double width, double height);
  // The document.
  std::string End();

  void Rect(const Box& box, const Shape& shape);
  void Line(double x1, double y1, double x2, double y2, const std::string& stroke);
  void PolyLine(const Points& points, const std::string& stroke);
  // Between the points and the line y = `base`.
  void Area(const Points& points, double base, const Shape& shape);
  void Text(double x, double y, const std::string& text, const Type& type);
  // Read from bottom to top.
  void UprightText(double x, double y, const std::string& text, const Type& type);
  // What follows until EndGroup shows `tip` under a pointer.
  void Group(const std::string& tip);
  void EndGroup();

 private:
  void Write(const std::string& text, const Type& type, const std::string& place);
  std::string out_;
};

}  // namespace forebay
