#include "block/compression.h"

#include <lz4.h>
#include <zstd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace forebay {
namespace {

// Level 1: 8 times smaller at 460 MB/s a core on real access logs:
// docs/design/storage.md#compression.
constexpr int kZstdLevel = 1;
constexpr std::string_view kZstdMagic = "\x28\xB5\x2F\xFD";

struct ZstdDelete {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// A context is several hundred KiB that zstd would otherwise allocate and clear for each block.
ZSTD_CCtx* ZstdCompressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, ZstdDelete> context(ZSTD_createCCtx());
  FOREBAY_CHECK(context != nullptr, "out of memory");
  return context.get();
}

ZSTD_DCtx* ZstdDecompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, ZstdDelete> context(ZSTD_createDCtx());
  FOREBAY_CHECK(context != nullptr, "out of memory");
  return context.get();
}

// Bytes written to `out`, 0 when they did not fit in `room`.
size_t CompressTo(Codec codec, std::string_view raw, char* out, size_t room) {
  if (codec == Codec::kLz4) {
    return static_cast<size_t>(LZ4_compress_default(raw.data(), out, static_cast<int>(raw.size()),
                                                    static_cast<int>(room)));
  }
  const size_t size =
      ZSTD_compressCCtx(ZstdCompressor(), out, room, raw.data(), raw.size(), kZstdLevel);
  return ZSTD_isError(size) ? 0 : size;
}

// Bytes written to `out`, or nothing sensible when the body is damaged.
size_t DecompressTo(Codec codec, std::string_view body, char* out, size_t room) {
  if (codec == Codec::kLz4) {
    return static_cast<size_t>(LZ4_decompress_safe(body.data(), out, static_cast<int>(body.size()),
                                                   static_cast<int>(room)));
  }
  return ZSTD_decompressDCtx(ZstdDecompressor(), out, room, body.data(), body.size());
}

}  // namespace

std::optional<std::string_view> Compress(Codec codec, std::string_view raw) {
  if (codec == Codec::kNone || raw.size() < 2) return std::nullopt;
  thread_local std::string scratch;
  const size_t room = raw.size() - 1;
  if (scratch.size() < room) scratch.resize(room);
  const size_t size = CompressTo(codec, raw, scratch.data(), room);
  if (size == 0) return std::nullopt;
  return std::string_view(scratch).substr(0, size);
}

absl::Status Decompress(Codec codec, std::string_view body, size_t raw_bytes, std::string& out) {
  out.resize(raw_bytes);
  if (codec == Codec::kNone) {
    if (body.size() == raw_bytes) {
      out.assign(body);
      return absl::OkStatus();
    }
  } else if (DecompressTo(codec, body, out.data(), raw_bytes) == raw_bytes) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("body of ", body.size(), " bytes does not decompress to ",
                                          raw_bytes, " bytes as the header says"));
}

absl::Status CheckFrame(Codec codec, std::string_view body, size_t raw_bytes) {
  // More than both compressors' bound for what does not shrink.
  const size_t bytes_max = raw_bytes + raw_bytes / 128 + 512;
  if (codec != Codec::kNone && body.size() > bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat("body of ", body.size(), " bytes for ",
                                                   raw_bytes, " bytes before compression: at most ",
                                                   bytes_max));
  }
  if (codec != Codec::kZstd) return absl::OkStatus();
  if (body.substr(0, kZstdMagic.size()) != kZstdMagic) {
    return absl::InvalidArgumentError("the body is not a zstd frame");
  }
  const size_t frame = ZSTD_findFrameCompressedSize(body.data(), body.size());
  if (ZSTD_isError(frame)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body is not a whole zstd frame: ", ZSTD_getErrorName(frame)));
  }
  if (ZSTD_getDictID_fromFrame(body.data(), body.size()) != 0) {
    return absl::InvalidArgumentError("the body takes a zstd dictionary, which nobody here has");
  }
  if (frame == body.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(body.size() - frame, " bytes follow the body's first zstd frame"));
}

}  // namespace forebay
