#include "cli/measured_text.h"

#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace r1::cli {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{16} << 20;

// Prose, arithmetic, a program and Chinese: what a reasoning model writes.
constexpr std::string_view kText =
    R"(The tortoise had promised to be at the river before the heat of the day, and so it left while
the hills were still grey. Halfway there it stopped to think. "If I walk at this pace," it said,
"I shall need three more hours; but if the fox carries me across the meadow, two will do."

Let x be the number of apples in the first basket. The second holds twice as many, and together
they hold 51, so x + 2x = 51, which gives 3x = 51 and therefore x = 17. Check: 17 + 34 = 51. Wait,
the question asks for the second basket. That is 2 * 17 = 34, so the answer is 34.

def greatest_common_divisor(a, b):
    while b != 0:
        a, b = b, a % b
    return abs(a)

print(greatest_common_divisor(252, 105))  # 21

Water boils at 100 degrees Celsius at sea level, and at a lower temperature on a mountain, because
the pressure of the air is smaller there. This is why rice takes longer to cook in a high village.

小明有十二支铅笔,送给朋友五支,又买了八支。他现在有多少支?首先,十二减五等于七;然后,七加八等于十五。所以他有十五支铅笔。
)";

}  // namespace

std::vector<std::int32_t> read_measured_text(const std::optional<std::string>& file,
                                             const text::Tokenizer& tokenizer, std::int64_t limit) {
  const std::string text = file ? read_text_file(*file, kMaxTextBytes) : std::string(kText);
  std::vector<std::int32_t> ids = tokenizer.encode(text, {.add_bos = true});
  if (std::ssize(ids) > limit) ids.resize(static_cast<std::size_t>(limit));
  if (ids.size() < 2) throw Error(file.value_or("text"), "has fewer than two tokens");
  return ids;
}

}  // namespace r1::cli
