#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace r1::tasks {

// The form under which answers that say the same are equal: as the verifiers read them (trimmed,
// full-width forms as ASCII, a leading "=" or "x =" dropped), whole numbers and lists of them
// without signs, zeros and brackets that mean nothing, anything else without white space and in
// lower case. Empty for what no verifier would read.
std::string canonical_answer(std::string_view answer);

// Self-consistency (Wang et al. 2022; cons@K of DeepSeek-R1, section 2.2.4): the index of the first
// of those answers that most agree on, ties to the answer that came first. Empty answers do not
// vote; nothing when all are empty. Takes canonical answers.
std::optional<std::size_t> majority(std::span<const std::string> answers);

}  // namespace r1::tasks
