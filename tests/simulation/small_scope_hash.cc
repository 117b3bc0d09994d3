#include "simulation/small_scope_hash.h"

#include "base/check.h"

namespace forebay {

ContentHash& ContentHash::Add(std::string_view text) {
  Add(uint64_t{text.size()});
  for (const char c : text) Add(static_cast<uint64_t>(static_cast<unsigned char>(c)));
  return *this;
}

ContentHash& ContentHash::Add(const Chain& chain) {
  for (const Segment& segment : chain.segments) {
    Add(segment.epoch).Add(segment.base).Add(segment.end.value_or(Offset(UINT64_MAX)));
    Add(segment.owner.value()).Add(segment.owner_life.value());
    for (const Replica& replica : segment.replicas) {
      Add(replica.node.value()).Add(replica.incarnation);
    }
  }
  return *this;
}

ContentHash& ContentHash::Add(const MemoryWalState& disk) {
  for (const auto& [partition, fence] : disk.fences) Add(fence);
  for (const auto& [key, segment] : disk.segments) {
    Add(key).Add(segment.extent.start).Add(segment.extent.tail).Add(segment.snapshot);
    for (const auto& [first, block] : segment.blocks) Add(first).Add(block);
  }
  return *this;
}

ContentHash& ContentHash::Add(const WalWrite& write) {
  Add(uint64_t{write.index()});
  if (const auto* open = std::get_if<OpenSegment>(&write)) {
    Add(open->key).Add(open->start).Add(open->snapshot);
  } else if (const auto* append = std::get_if<AppendBlock>(&write)) {
    Add(append->key).Add(append->first).Add(append->block);
  } else if (const auto* raise = std::get_if<RaiseFence>(&write)) {
    Add(raise->fence);
  } else if (const auto* drop = std::get_if<DropSegment>(&write)) {
    Add(drop->key);
  } else {
    FOREBAY_CHECK(false, "nothing is trimmed in the small world");
  }
  return *this;
}

ContentHash& ContentHash::Add(const Message& message) {
  Add(uint64_t{message.index()});
  if (const auto* mirror = std::get_if<MirrorRequest>(&message)) {
    Add(mirror->segment).Add(mirror->incarnation).Add(mirror->base).Add(mirror->first);
    Add(mirror->open_snapshot.value_or("-"));
    for (const Block& block : mirror->blocks) Add(block);
    // What it says about committed and trimmed offsets no replica core looks at.
  } else if (const auto* mirrored = std::get_if<MirrorReply>(&message)) {
    Add(mirrored->segment).Add(static_cast<uint64_t>(mirrored->answer)).Add(mirrored->tail);
    Add(mirrored->next).Add(mirrored->fence);
  } else if (const auto* fence = std::get_if<FenceRequest>(&message)) {
    Add(fence->segment).Add(fence->incarnation).Add(fence->fence);
  } else if (const auto* fenced = std::get_if<FenceReply>(&message)) {
    Add(fenced->segment).Add(fenced->fence).Add(static_cast<uint64_t>(fenced->answer));
    Add(fenced->higher).Add(fenced->start).Add(fenced->tail);
  } else if (const auto* fetch = std::get_if<FetchRequest>(&message)) {
    Add(fetch->request).Add(fetch->segment).Add(fetch->from).Add(uint64_t{fetch->with_snapshot});
  } else if (const auto* fetched = std::get_if<FetchReply>(&message)) {
    Add(fetched->request).Add(fetched->segment).Add(static_cast<uint64_t>(fetched->answer));
    Add(fetched->extent.start).Add(fetched->extent.tail).Add(fetched->snapshot.value_or("-"));
    for (const StoredBlock& block : fetched->blocks) Add(block.first).Add(block.block);
  } else if (const auto* copy = std::get_if<CopyRequest>(&message)) {
    Add(copy->segment).Add(copy->incarnation).Add(copy->fence).Add(copy->chain_version);
    Add(copy->open_snapshot.value_or("-")).Add(copy->first);
    for (const Block& block : copy->blocks) Add(block);
  } else if (const auto* copied = std::get_if<CopyReply>(&message)) {
    Add(copied->segment).Add(copied->fence).Add(static_cast<uint64_t>(copied->answer));
    Add(copied->extent.start).Add(copied->extent.tail).Add(copied->higher);
    Add(copied->chain_version);
  } else {
    FOREBAY_CHECK(false, "the cores of the small world send no such message");
  }
  return *this;
}

}  // namespace forebay
