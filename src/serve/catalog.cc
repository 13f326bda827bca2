#include "serve/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "formats/json.h"
#include "model/weight_source.h"
#include "serve/api_error.h"

namespace r1::serve {
namespace {

namespace fs = std::filesystem;

std::string name_from(const fs::path& path) {
  const fs::path clean = path.has_filename() ? path : path.parent_path();
  // A pulled model lies in models--ORG--NAME/snapshots/COMMIT.
  if (const fs::path above = clean.parent_path(); above.filename() == "snapshots") {
    const std::string folder = above.parent_path().filename().string();
    const std::size_t last = folder.rfind("--");
    if (last != folder.npos) return folder.substr(last + 2);
  }
  return is_gguf(clean) ? clean.stem().string() : fs::canonical(clean).filename().string();
}

std::int32_t added_id(const text::Tokenizer& tokenizer, std::string_view content) {
  const auto id = tokenizer.id_of(content);
  return id && tokenizer.added_token(*id) != nullptr ? *id : -1;
}

// What tells one state of the files from another: their names, sizes and times.
void describe_files(CatalogEntry& entry) {
  std::string state = entry.path.string();
  const auto add = [&](const fs::path& file) {
    const auto bytes = static_cast<std::int64_t>(fs::file_size(file));
    const auto time = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::file_clock::to_sys(fs::last_write_time(file)).time_since_epoch());
    entry.modified = std::max<std::int64_t>(entry.modified, time.count());
    const std::string extension = file.extension().string();
    if (extension == ".safetensors" || extension == ".gguf") entry.file_bytes += bytes;
    state += fmt::format("\n{} {} {}", file.filename().string(), bytes, time.count());
  };
  if (fs::is_directory(entry.path)) {
    std::set<fs::path> files;
    for (const auto& file : fs::directory_iterator(entry.path)) {
      if (file.is_regular_file()) files.insert(file.path());
    }
    for (const fs::path& file : files) add(file);
  } else {
    add(entry.path);
  }
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : state) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  Rng rng(hash);
  for (int i = 0; i < 4; ++i) entry.digest += fmt::format("{:016x}", rng.next_u64());
}

std::unique_ptr<CatalogEntry> read_entry(const ModelEntry& given) {
  const auto source = WeightSource::open(given.path);
  reasoning::PromptSide side = reasoning::load_prompt_side(
      given.path, reasoning::Prompting::kAsTrained, source->config().vocab_size);
  auto entry = std::make_unique<CatalogEntry>(
      CatalogEntry{.name = given.name.empty() ? name_from(given.path) : given.name,
                   .aliases = given.aliases,
                   .quick_aliases = given.quick_aliases,
                   .path = given.path,
                   .config = source->config(),
                   .contents = source->contents(),
                   .side = std::move(side),
                   .digest = {}});
  entry->weight_bytes = plan_memory(*source, {}).weights();
  entry->think_id = added_id(entry->side.tokenizer, "<think>");
  entry->think_end_id = added_id(entry->side.tokenizer, "</think>");
  describe_files(*entry);
  return entry;
}

}  // namespace

bool CatalogEntry::thinks() const {
  return side.form.completion() != text::CompletionForm::kPlain && think_end_id >= 0;
}

bool CatalogEntry::thinks_as(std::string_view given) const {
  return thinks() && std::ranges::find(quick_aliases, given) == quick_aliases.end();
}

std::vector<std::string> CatalogEntry::names() const {
  std::vector<std::string> all = {name};
  all.insert(all.end(), aliases.begin(), aliases.end());
  all.insert(all.end(), quick_aliases.begin(), quick_aliases.end());
  return all;
}

Catalog::Catalog(const ServerConfig& config) {
  if (config.models.empty()) throw Error("serve", "there is no model", "name one or more");
  std::set<std::string> names;
  for (const ModelEntry& given : config.models) {
    entries_.push_back(read_entry(given));
    for (const std::string& name : entries_.back()->names()) {
      if (!names.insert(name).second) {
        throw Error(given.path.string(), fmt::format("another model is named \"{}\", too", name),
                    "give it a name of its own in serve.yaml");
      }
    }
  }
}

const CatalogEntry& Catalog::find(std::string_view name) const {
  constexpr std::string_view kLatest = ":latest";
  if (name.empty()) return *entries_.front();
  std::string_view bare = name;
  if (bare.ends_with(kLatest)) bare.remove_suffix(kLatest.size());
  for (const auto& entry : entries_) {
    for (const std::string& known : entry->names()) {
      if (known == name || known == bare) return *entry;
    }
  }
  throw ApiError(ApiError::Kind::not_found,
                 fmt::format("the model '{}' does not exist", excerpt(name)), "model",
                 "model_not_found");
}

}  // namespace r1::serve
