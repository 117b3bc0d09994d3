#include "drill/drill_timeline.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/numbers.h"
#include "drill/svg.h"

namespace forebay {
namespace {

// In pixels.
constexpr double kLeft = 200, kRight = 28, kTop = 104, kRow = 24, kLanePadding = 6;
constexpr double kChart = 104, kBetweenCharts = 34, kLegend = 80;

struct Look {
  const char* name;
  const char* fill;
};

// Kinds of one look are told apart by their labels.
Look LookOf(ChaosKind kind) {
  switch (kind) {
    case ChaosKind::kKill:
      return {"node killed", "#c2410c"};
    case ChaosKind::kFreeze:
      return {"node frozen", "#0369a1"};
    case ChaosKind::kCut:
    case ChaosKind::kCutOut:
    case ChaosKind::kCutIn:
    case ChaosKind::kFlap:
      return {"network cut", "#b45309"};
    case ChaosKind::kPowerCut:
    case ChaosKind::kPowerCutAll:
      return {"power cut", "#1f2937"};
    case ChaosKind::kDiskFull:
      return {"disk full", "#7c3aed"};
    case ChaosKind::kClockJump:
      return {"clock off", "#4d7c0f"};
    case ChaosKind::kRestartAll:
      return {"restarted in order", "#64748b"};
    case ChaosKind::kKillEtcd:
      return {"etcd member killed", "#be185d"};
    case ChaosKind::kBreakSink:
      return {"sink broken", "#0f766e"};
  }
  return {"", "#000000"};
}

double Sec(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

// 1, 2 or 5 times a power of ten, so that `most` is at most `steps` of them.
double NiceStep(double most, int steps) {
  const double least = std::max(most / steps, 1e-9);
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * 0.999) return factor * power;
  }
  return 10 * power;
}

double TimeStep(double seconds) {
  for (const double step : {1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0}) {
    if (seconds / step <= 14) return step;
  }
  return 3600;
}

// Bars of a lane; those that overlap lie in rows of their own.
struct Lane {
  std::string label;
  std::string detail;
  std::vector<std::pair<size_t, int>> bars;  // which fault, in which row
  int rows = 1;
  double top = 0;

  double height() const { return rows * kRow + 2 * kLanePadding; }
};

// A line of steps: each value holds from its time to the next one's.
struct Series {
  std::string name;
  std::string colour;
  bool line = true;  // else only what is below it, as most of the time it is nothing
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string label;
  std::string unit;
  std::vector<Series> series;
  double most = 1;
};

class Timeline {
 public:
  Timeline(const DrillOptions& options, const DrillReport& report)
      : options_(options), report_(report), chaos_(*report.chaos) {
    seconds_ = std::max({report.seconds, Sec(options.chaos->length), 1.0});
    for (const ChaosRecord& fault : chaos_.faults) {
      seconds_ = std::max(seconds_, End(fault.span) + 1);
    }
    width_ = std::clamp(seconds_ * 1.2, 1060.0, 2400.0);
  }

  std::string Draw() {
    PlaceLanes();
    const std::vector<Chart> charts = {RateChart(), LagChart(), CopiesChart()};
    const double lanes_end = lanes_.back().top + lanes_.back().height();
    bottom_ = lanes_end + static_cast<double>(charts.size()) * (kChart + kBetweenCharts);
    svg_.Begin(kLeft + width_ + kRight, bottom_ + 30 + kLegend);
    DrawHead();
    DrawShadows(lanes_end);
    DrawTimes();
    for (const Lane& lane : lanes_) DrawLane(lane);
    DrawPowerCuts();
    double top = lanes_end + kBetweenCharts;
    for (const Chart& chart : charts) {
      DrawChart(chart, top);
      top += kChart + kBetweenCharts;
    }
    DrawLegend();
    return svg_.End();
  }

 private:
  double X(double seconds) const { return kLeft + width_ * std::min(seconds / seconds_, 1.0); }
  double End(const ChaosSpan& span) const { return span.ended ? Sec(*span.ended) : seconds_; }

  void PlaceLanes() {
    for (int zone = 0; zone < options_.zones; ++zone) {
      const std::string name(1, static_cast<char>('a' + zone));
      std::vector<std::string> inside;
      for (int i = 1; i <= options_.nodes_per_zone; ++i) inside.push_back(absl::StrCat(name, i));
      if (options_.etcd) inside.push_back("etcd");
      lanes_.push_back(
          {.label = "zone " + name, .detail = absl::StrJoin(inside, ", "), .bars = {}});
    }
    lanes_.push_back(
        {.label = "sink", .detail = options_.sink.substr(0, options_.sink.find(':')), .bars = {}});
    std::vector<std::vector<double>> free(lanes_.size());  // when each row of each lane is free
    for (size_t i = 0; i < chaos_.faults.size(); ++i) {
      const ChaosSpan& span = chaos_.faults[i].span;
      if (span.fault.kind == ChaosKind::kPowerCutAll) continue;
      const size_t at = LaneOf(span);
      size_t row = 0;
      while (row < free[at].size() && free[at][row] > Sec(span.began)) ++row;
      if (row == free[at].size()) free[at].push_back(0);
      free[at][row] = End(span);
      lanes_[at].bars.emplace_back(i, static_cast<int>(row));
      lanes_[at].rows = std::max(lanes_[at].rows, static_cast<int>(row) + 1);
    }
    double top = kTop;
    for (Lane& lane : lanes_) {
      lane.top = top;
      top += lane.height();
    }
  }

  size_t LaneOf(const ChaosSpan& span) const {
    if (span.fault.kind == ChaosKind::kBreakSink) return lanes_.size() - 1;
    const std::string zone = span.fault.zone.empty() ? span.target : span.fault.zone.value();
    return std::min(static_cast<size_t>(zone[0] - 'a'), lanes_.size() - 2);
  }

  void DrawHead() {
    const DrillVerdict& v = report_.verdict;
    svg_.Text(28, 36, absl::StrCat("Chaos drill, seed ", options_.chaos->seed),
              {.size = 20, .weight = 600});
    svg_.Text(28, 58,
              absl::StrCat(chaos_.faults.size(), " faults in ",
                           absl::FormatDuration(options_.chaos->length), " · ", options_.zones,
                           " zones, ", options_.zones * options_.nodes_per_zone, " nodes, ",
                           options_.partitions, " partitions · ", Grouped(v.sent), " events sent, ",
                           Grouped(v.acknowledged), " acknowledged"),
              {.fill = kMuted});
    const bool good = report_.Passed();
    const std::string verdict =
        absl::StrCat("lost ", Grouped(v.lost), " · duplicated ", Grouped(v.duplicated),
                     " · out of order ", Grouped(v.out_of_order), " · ",
                     report_.repaired ? "fully replicated at the end" : "NOT fully replicated");
    svg_.Rect({28, 70, 1.1 * SvgWidth(verdict, 12) + 16, 22},
              {.fill = good ? "#dcfce7" : "#fee2e2", .round = 11});
    svg_.Text(40, 85.5, verdict,
              {.fill = good ? "#166534" : "#991b1b", .weight = 600, .data = "verdict"});
  }

  // What breaks the cluster is seen through the charts below.
  void DrawShadows(double lanes_end) {
    for (const ChaosRecord& fault : chaos_.faults) {
      const double from = X(Sec(fault.span.began)), to = X(End(fault.span));
      svg_.Rect({from, lanes_end, std::max(to - from, 1.0), bottom_ - lanes_end},
                {.fill = LookOf(fault.span.fault.kind).fill, .opacity = 0.07});
    }
  }

  void DrawTimes() {
    const double step = TimeStep(seconds_);
    for (double at = 0; at <= seconds_ + 1e-6; at += step) {
      svg_.Line(X(at), kTop - 4, X(at), bottom_, kGrid);
      svg_.Text(X(at), bottom_ + 16, absl::StrFormat("%g", at),
                {.fill = kMuted, .anchor = "middle"});
    }
    svg_.Text(kLeft - 12, bottom_ + 16, "seconds", {.fill = kMuted, .anchor = "end"});
  }

  void DrawLane(const Lane& lane) {
    svg_.Line(28, lane.top, kLeft + width_, lane.top, kGrid);
    svg_.Text(28, lane.top + 18, lane.label, {.size = 13, .weight = 600});
    svg_.Text(kLeft - 12, lane.top + 18, lane.detail, {.fill = kMuted, .anchor = "end"});
    for (const auto& [index, row] : lane.bars) {
      DrawBar(chaos_.faults[index], lane.top + kLanePadding + row * kRow);
    }
    svg_.Line(28, lane.top + lane.height(), kLeft + width_, lane.top + lane.height(), kGrid);
  }

  void DrawBar(const ChaosRecord& fault, double top) {
    const ChaosSpan& span = fault.span;
    const Look look = LookOf(span.fault.kind);
    const double from = X(Sec(span.began)), to = std::max(X(End(span)), from + 2);
    svg_.Group(Tip(fault));
    if (span.recovered.has_value()) {
      const double until = X(Sec(*span.ended + *span.recovered));
      svg_.Rect({to, top + kRow / 2 - 3.5, std::max(until - to, 0.0), 5},
                {.fill = look.fill, .opacity = 0.35});
    }
    svg_.Rect({from, top + 1, to - from, kRow - 4}, {.fill = look.fill, .round = 3});
    const std::string label = Label(span);
    if (SvgWidth(label, 11) + 8 < to - from) {
      svg_.Text(from + 5, top + 15, label, {.fill = "#ffffff", .size = 11});
    }
    svg_.EndGroup();
  }

  static std::string Label(const ChaosSpan& span) {
    if (span.fault.kind == ChaosKind::kBreakSink) return "broken";
    if (span.fault.kind == ChaosKind::kRestartAll) return "restart " + span.target;
    return absl::StrCat(NameOf(span.fault.kind),
                        span.fault.zone.value() == span.target ? "" : " " + span.target);
  }

  // What a pointer on it shows.
  std::string Tip(const ChaosRecord& fault) const {
    const ChaosSpan& span = fault.span;
    std::string tip = absl::StrFormat(
        "%s %s\nfrom %.1f s to %.1f s\nlongest time without an acknowledgement: %.0f ms (a "
        "producer), %.0f ms (a partition)",
        NameOf(span.fault.kind), span.target, Sec(span.began), End(span), fault.gaps.producer_ms,
        fault.gaps.partition_ms);
    if (span.recovered.has_value()) {
      absl::StrAppend(&tip, absl::StrFormat("\nrecovered %.1f s later", Sec(*span.recovered)));
    }
    return tip;
  }

  // Through all zones.
  void DrawPowerCuts() {
    const double top = kTop + 3, height = lanes_.back().top - kTop - 6;
    for (const ChaosRecord& fault : chaos_.faults) {
      const ChaosSpan& span = fault.span;
      if (span.fault.kind != ChaosKind::kPowerCutAll) continue;
      const double from = X(Sec(span.began)), to = std::max(X(End(span)), from + 2);
      svg_.Group(Tip(fault));
      if (span.recovered.has_value()) {
        const double until = X(Sec(*span.ended + *span.recovered));
        svg_.Rect({to, top + height / 2 - 2.5, std::max(until - to, 0.0), 5},
                  {.fill = LookOf(span.fault.kind).fill, .opacity = 0.35});
      }
      svg_.Rect({from, top, to - from, height}, {.fill = LookOf(span.fault.kind).fill, .round = 3});
      if (to - from >= 14) {
        svg_.UprightText((from + to) / 2 + 4, top + height / 2, "power cut, all",
                         {.fill = "#ffffff", .size = 11, .anchor = "middle"});
      }
      svg_.EndGroup();
    }
  }

  Chart RateChart() const {
    Chart chart{.label = "acknowledged", .unit = "events/s", .series = {}};
    Series rate{.name = "", .colour = "#2563eb", .points = {}};
    for (size_t second = 0; second < chaos_.acknowledged.size(); ++second) {
      rate.points.emplace_back(second, chaos_.acknowledged[second]);
    }
    chart.series.push_back(std::move(rate));
    return Scaled(std::move(chart));
  }

  // The highest of each span of time that has a pixel or so.
  Series OfSamples(const std::string& name, const std::string& colour,
                   const std::function<double(const ClusterSample&)>& value) const {
    const double bin = std::max(seconds_ / width_, 0.25);
    std::map<int64_t, double> highest;
    for (const ClusterSample& sample : chaos_.samples) {
      const double at = Sec(sample.at - chaos_.started);
      if (at < 0 || at > seconds_) continue;
      double& most = highest[static_cast<int64_t>(at / bin)];
      most = std::max(most, value(sample));
    }
    Series series{.name = name, .colour = colour, .points = {}};
    for (const auto& [index, most] : highest) {
      series.points.emplace_back(static_cast<double>(index) * bin, most);
    }
    return series;
  }

  Chart LagChart() const {
    Chart chart{.label = "lag of the sink", .unit = "events", .series = {}};
    chart.series.push_back(OfSamples("", "#0f766e", [](const ClusterSample& sample) {
      return static_cast<double>(sample.lag_events);
    }));
    return Scaled(std::move(chart));
  }

  Chart CopiesChart() const {
    Chart chart{.label = "copies", .unit = "", .series = {}};
    chart.series.push_back(OfSamples(
        "under-replicated segments", "#d97706",
        [](const ClusterSample& sample) { return static_cast<double>(sample.under_replicated); }));
    chart.series.push_back(OfSamples(
        "partitions without an owner", "#dc2626",
        [](const ClusterSample& sample) { return static_cast<double>(sample.without_owner); }));
    chart.series.back().line = false;
    return Scaled(std::move(chart));
  }

  static Chart Scaled(Chart chart) {
    for (const Series& series : chart.series) {
      for (const auto& [at, value] : series.points) chart.most = std::max(chart.most, value);
    }
    return chart;
  }

  void DrawChart(const Chart& chart, double top) {
    svg_.Text(28, top + 12, chart.label, {.size = 13, .weight = 600});
    svg_.Text(28, top + 28, chart.unit, {.fill = kMuted});
    const double step = std::max(NiceStep(chart.most, 4), 1.0);
    const double most = std::ceil(chart.most / step) * step;
    for (double value = 0; value <= most + step / 2; value += step) {
      const double y = top + kChart * (1 - value / most);
      svg_.Line(kLeft, y, kLeft + width_, y, value == 0 ? kAxis : kGrid);
      svg_.Text(kLeft - 12, y + 4, Grouped(static_cast<uint64_t>(value)),
                {.fill = kMuted, .anchor = "end"});
    }
    double x = kLeft + 8;
    for (const Series& series : chart.series) {
      DrawSeries(series, top, most);
      if (series.name.empty()) continue;
      svg_.Rect({x, top - 16, 10, 10}, {.fill = series.colour, .round = 2});
      svg_.Text(x + 16, top - 7, series.name, {});
      x += SvgWidth(series.name, 12) + 44;
    }
  }

  void DrawSeries(const Series& series, double top, double most) {
    if (series.points.empty()) return;
    std::vector<std::pair<double, double>> line;
    double y = 0;
    for (const auto& [at, value] : series.points) {
      if (!line.empty()) line.emplace_back(X(at), y);
      y = top + kChart * (1 - value / most);
      line.emplace_back(X(at), y);
    }
    line.emplace_back(std::max(X(series.points.back().first + 1), line.back().first), y);
    svg_.Area(line, top + kChart, {.fill = series.colour, .opacity = series.line ? 0.14 : 0.6});
    if (series.line) svg_.PolyLine(line, series.colour);
  }

  void DrawLegend() {
    std::map<std::string, std::string> looks;
    for (const ChaosRecord& fault : chaos_.faults) {
      const Look look = LookOf(fault.span.fault.kind);
      looks[look.name] = look.fill;
    }
    double x = kLeft;
    const double y = bottom_ + 46;
    for (const auto& [name, fill] : looks) {
      svg_.Rect({x, y - 10, 18, 12}, {.fill = fill, .round = 3});
      svg_.Text(x + 24, y, name, {});
      x += SvgWidth(name, 12) + 48;
    }
    svg_.Rect({kLeft, y + 15.5, 18, 5}, {.fill = "#475569", .opacity = 0.35});
    svg_.Text(kLeft + 24, y + 22,
              "from the end of a fault until all copies were back, or the sink had caught up", {});
    svg_.Text(kLeft, y + 44,
              "The rate counts the acknowledgements that producers got in each second; lag and "
              "copies are what the status of the nodes said.",
              {.fill = kMuted});
  }

  const DrillOptions& options_;
  const DrillReport& report_;
  const ChaosReport& chaos_;
  double seconds_ = 1;  // that the picture covers
  double width_ = 0;    // of the plots
  double bottom_ = 0;
  std::vector<Lane> lanes_;  // the zones, then the sink
  Svg svg_;
};

}  // namespace

std::string DrillTimeline(const DrillOptions& options, const DrillReport& report) {
  return Timeline(options, report).Draw();
}

}  // namespace forebay
