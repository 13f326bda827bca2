#include "backend/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace r1 {
namespace {

constexpr std::array kAllIsas = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx};

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf cpuid(unsigned leaf, unsigned subleaf) {
  CpuidLeaf r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

constexpr bool has_bits(std::uint64_t value, std::uint64_t bits) { return (value & bits) == bits; }

// The register states that the operating system saves on a context switch (XCR0).
std::uint64_t saved_states() {
  constexpr unsigned kOsxsave = 1u << 27;
  if (!has_bits(cpuid(1, 0).ecx, kOsxsave)) return 0;
  std::uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

constexpr std::uint64_t kSavedYmm = 0x6;               // SSE, AVX
constexpr std::uint64_t kSavedZmm = kSavedYmm | 0xE0;  // opmask, ZMM_Hi256, Hi16_ZMM
constexpr std::uint64_t kSavedTiles = 0x60000;         // XTILECFG, XTILEDATA

bool has_avx2() {
  constexpr unsigned kFma = 1u << 12, kF16c = 1u << 29;  // leaf 1, ECX
  constexpr unsigned kAvx2 = 1u << 5;                    // leaf 7, EBX
  return has_bits(saved_states(), kSavedYmm) && has_bits(cpuid(1, 0).ecx, kFma | kF16c) &&
         has_bits(cpuid(7, 0).ebx, kAvx2);
}

bool has_avx512() {
  constexpr unsigned kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;
  constexpr unsigned kVnni = 1u << 11;  // leaf 7, ECX
  return has_avx2() && has_bits(saved_states(), kSavedZmm) &&
         has_bits(cpuid(7, 0).ebx, kF | kDq | kBw | kVl) && has_bits(cpuid(7, 0).ecx, kVnni);
}

// Linux hands out the 8 KB of tile registers on request, once for the whole process.
bool tiles_permitted() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;  // leaf 7, EDX
  return has_avx512() && has_bits(saved_states(), kSavedTiles) &&
         has_bits(cpuid(7, 0).edx, kBf16 | kTile) && tiles_permitted();
}

std::string names_of(const auto& isas) {
  std::string names;
  for (const Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  return names;
}

}  // namespace

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::amx:
      return "amx";
  }
  R1_CHECK(false, "isa {}", static_cast<int>(isa));
}

std::vector<Isa> supported_isas() {
  static const std::vector<Isa> supported = [] {
    std::vector<Isa> isas = {Isa::scalar};
    if (has_avx2()) isas.push_back(Isa::avx2);
    if (has_avx512()) isas.push_back(Isa::avx512);
    if (has_amx()) isas.push_back(Isa::amx);
    return isas;
  }();
  return supported;
}

Isa choose_isa() {
  const std::vector<Isa> supported = supported_isas();
  const char* wanted = std::getenv("R1_ISA");
  if (wanted == nullptr || *wanted == '\0') return supported.back();
  const auto named = std::find_if(kAllIsas.begin(), kAllIsas.end(),
                                  [&](Isa isa) { return name_of(isa) == wanted; });
  if (named == kAllIsas.end()) {
    throw Error("R1_ISA", fmt::format("unknown instruction set '{}'", wanted),
                fmt::format("use one of {}", names_of(kAllIsas)));
  }
  if (std::find(supported.begin(), supported.end(), *named) == supported.end()) {
    throw Error("R1_ISA", fmt::format("this machine lacks {}", wanted),
                fmt::format("use one of {}, or unset it", names_of(supported)));
  }
  return *named;
}

}  // namespace r1
