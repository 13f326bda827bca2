#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "model/model.h"
#include "reasoning/generation_config.h"
#include "text/chat_template_file.h"
#include "text/prompt_form.h"
#include "text/tokenizer.h"

namespace r1::reasoning {

// How a model's form of question was found.
enum class FormOrigin {
  kNamed,    // its files name or hold it
  kGuessed,  // by the tokens of its vocabulary
  kUnknown,  // nothing tells: the text is gone on with as it is
  kAsked,    // the user wants none
};

struct ChosenForm {
  text::PromptForm form;
  FormOrigin origin;
};

// All of a model but its weights: enough to write prompts and to read completions.
struct PromptSide {
  text::Tokenizer tokenizer;
  text::PromptForm form;
  FormOrigin origin;
  std::vector<std::int32_t> end_ids;  // drawing one ends the completion
  SamplingParams sampling;            // what the model's makers recommend
};

// A model directory or file with all that is needed to ask it questions.
struct ReasoningModel {
  std::filesystem::path directory;
  std::unique_ptr<Model> model;  // for inference
  text::Tokenizer tokenizer;
  text::PromptForm form;
  FormOrigin origin;
  std::vector<std::int32_t> end_ids;  // drawing one ends the completion
  SamplingParams sampling;            // what the model's makers recommend

  // The conversation that poses a problem to be graded (tasks/grade.h): a chat model is told to
  // mark its answer, which the others do of themselves.
  std::vector<text::ChatMessage> pose(std::string_view question) const;
  // A completion as a grader reads it: with the tag that its prompt opened.
  std::string graded_text(std::string_view completion, text::SectionKind starts_in) const;
};

// The chat template that a model carries; nothing if it has none.
std::optional<text::ChatTemplateSource> read_chat_template(const std::filesystem::path& model);

// The form of a model: the one of R1-Zero that its generation config names, else its chat template,
// else that of the family whose tokens it has, else none. Throws Error for a template that is no
// Jinja, or is Jinja that we do not have.
ChosenForm find_form(const std::filesystem::path& model, const GenerationConfig& generation,
                     const text::Tokenizer& tokenizer);

// The tokens that end a completion: those that the generation config names, else those of
// config.json and the tokenizer; and the one with which the form's turns end.
std::vector<std::int32_t> find_end_ids(const std::filesystem::path& model,
                                       const GenerationConfig& generation,
                                       const text::Tokenizer& tokenizer,
                                       const text::PromptForm& form);

enum class Prompting { kAsTrained, kPlain };

// What a model's files say beside the weights. vocab_size: the model's own. Throws Error naming the
// file: a part is missing, or the parts do not belong together.
PromptSide load_prompt_side(const std::filesystem::path& directory, Prompting prompting,
                            std::int64_t vocab_size);

// A model directory or a GGUF file. Throws Error naming the file: a part is missing, or the parts
// do not belong together.
ReasoningModel load_reasoning_model(Backend& backend, const std::filesystem::path& directory,
                                    Prompting prompting = Prompting::kAsTrained,
                                    const LoadOptions& options = {});

}  // namespace r1::reasoning
