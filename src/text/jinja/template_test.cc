// The template language: behaviours in a table, what is refused, what is bounded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/chat_template.h"

namespace r1::text {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

std::string render(std::string_view source, const Json& context = Json::object()) {
  return ChatTemplate::compile(source, "test").render(context);
}

// What the Error says, or an empty text if there is none.
std::string error_of(std::string_view source, const Json& context = Json::object()) {
  try {
    render(source, context);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::time_t noon() {
  std::tm time{};
  time.tm_year = 2025 - 1900;
  time.tm_mday = 20;
  time.tm_hour = 12;
  time.tm_isdst = -1;
  return std::mktime(&time);
}

// Each line: a template, its variables, and what the language's documentation (and Python's, for
// what Jinja borrows) says it renders to, set up as transformers does.
TEST(Jinja, BehavesAsDocumented) {
  std::ifstream file("tests/data/jinja/cases.jsonl");
  std::size_t cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const Json json = Json::parse(line);
    const auto source = json.at("template").get<std::string>();
    SCOPED_TRACE(source);
    const auto segments = ChatTemplate::compile(source, "test")
                              .render_segments(json.at("context"), Json::object(), noon());
    EXPECT_EQ(joined_text(segments), json.at("expected").get<std::string>());
  }
  EXPECT_GT(cases, 150u);
}

TEST(Jinja, WhatIsNotSupportedIsRefusedByNameAndLineBeforeAnythingIsRendered) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"a\n{{ x | urlize }}", "test: line 2: the filter \"urlize\" is not supported"},
      {"{% if x is escaped %}{% endif %}", "test: line 1: the test \"escaped\" is not supported"},
      {"\n\n{{ x.encode('a') }}", "test: line 3: the method encode() is not supported"},
      {"{{ l.append(1) }}", "the method append() is not supported"},
      {"{{ lipsum() }}", "the function lipsum() is not supported"},
      {"{{ x | map('urlize') | list }}", "the filter \"urlize\" is not supported"},
      {"{{ x | select('escaped') | list }}", "the test \"escaped\" is not supported"},
      {"{{ x | selectattr('a', 'escaped') }}", "the test \"escaped\" is not supported"},
      {"{% include 'a' %}", "the tag {% include %} is not supported"},
      {"{% do x %}", "the tag {% do %} is not supported"},
      {"{% for a in b recursive %}{% endfor %}", "a recursive loop is not supported"},
      {"{% for a in b %}{{ loop(a) }}{% endfor %}", "a recursive loop is not supported"},
      {"{% for a in b %}{{ loop.changed(a) }}{% endfor %}", "loop.changed() is not supported"},
      {"{% for a in b %}{% macro f() %}{% endmacro %}{% endfor %}", "a macro inside a loop"},
      {"{% macro f() %}{{ varargs }}{% endmacro %}", "\"varargs\" is not supported"},
      {"{{ '\\N{DASH}' }}", "\\N, is not supported"},
      {"{{ x[1, 2] }}", "a subscript with a comma is not supported"},
  };
  for (const auto& [source, error] : kCases) EXPECT_THAT(error_of(source), HasSubstr(error));
}

TEST(Jinja, WhatIsNoJinjaIsRefusedWithItsLine) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"a\nb {{ x", "test: line 2: a tag is not closed"},
      {"{{ 'a }}", "line 1: a string is not closed"},
      {"{# a", "a comment is not closed"},
      {"{% raw %}a", "{% raw %} is not closed"},
      {"{% if x %}\n\na", "test: line 3: {% endif %} is missing"},
      {"{% for a in b %}", "{% endfor %} is missing"},
      {"{% endif %}", "{% endif %} stands alone"},
      {"{% else %}", "{% else %} stands alone"},
      {"{% break %}", "{% break %} stands outside a loop"},
      {"{% for a in b %}{% set x %}{% continue %}{% endset %}{% endfor %}", "outside a loop"},
      {"{{ }}", "an expression is expected, not }}"},
      {"{{ a b }}", "}} is expected, not \"b\""},
      {"{{ (1] }}", "\"]\" is unexpected"},
      {"{{ 1 ? 2 }}", "\"?\" is unexpected"},
      {"{{ 012 }}", "a number begins with 0"},
      {"{{ 99999999999999999999 }}", "is too large"},
      {"{{ '\\uD800' }}", "an escape that names no character"},
      {"{% set none = 1 %}", "a value is given to \"none\""},
      {"{{ f(a=1, 2) }}", "an argument without a name follows one with a name"},
      {"{% %}", "the name of a tag is expected"},
      {"{% if %}x{% endif %}", "an expression is expected"},
  };
  for (const auto& [source, error] : kCases) EXPECT_THAT(error_of(source), HasSubstr(error));
}

TEST(Jinja, WhatFailsWhileRenderingSaysWhyAndWhere) {
  const Json context = {{"m", {{"a", 1}}}, {"l", {1, 2}}};
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"\n{{ raise_exception('roles must alternate') }}",
       "test: line 2: the template refuses: roles must alternate"},
      {"{{ x.y }}", "line 1: \"x\" is undefined"},
      {"{{ m.b.c }}", "a dict has no \"b\""},
      {"{{ m.b + 'x' }}", "a dict has no \"b\""},
      {"a\n{{ 'a' + 1 }}", "line 2: \"+\" does not work on a str and a int"},
      {"{{ 'a' < 1 }}", "compares a str with a int"},
      {"{{ 1 // 0 }}{{ 1 }}", "divides by zero"},
      {"{{ 9223372036854775807 + 1 }}", "an integer that is too large"},
      {"{{ 2 ** 64 }}", "an integer that is too large"},
      {"{{ 1 in 5 }}", "looks for something in a int"},
      {"{% for i in 5 %}{% endfor %}", "walks over a int"},
      {"{% for i in none %}{% endfor %}", "walks over a None"},
      {"{{ 5 | length }}", "takes the length of a int"},
      {"{{ l | map('upper') }}", "prints a generator"},
      {"{{ l | tojson(1, 2, 3, 4, 5) }}", "tojson() takes at most 4 arguments, not 5"},
      {"{{ l | join(sep=',') }}", "join() has no argument \"sep\""},
      {"{{ 'a'.split('') }}", "splits at an empty separator"},
      {"{{ m() }}{% set m = 1 %}", "calls a dict"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "f() takes at most 1 arguments, not 2"},
      {"{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "f() has no argument \"b\""},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}", "f() is given \"a\" twice"},
      {"{% set m.a = 2 %}", "\"m\", which is no namespace"},
      {"{% set a, b = l[:1] %}", "unpacks 1 values into 2 names"},
      {"{{ namespace(a=1) }}", "prints a namespace"},
      {"{{ {[1]: 2} }}", "a list cannot be a key"},
      {"{{ '%d' % 'a' }}", "formats a str with %d"},
      {"{{ '%s %s' % 'a' }}", "formats with too few values"},
      {"{{ l[::0] }}", "slices with step 0"},
      {"{{ 'x' | from_json }}", "from_json() is given no JSON"},
      {"{{ namespace(a=x) | tojson }}", "writes a namespace as JSON"},
      {"{{ [x] | tojson }}", "\"x\" is undefined"},
      {"{% set ns = namespace() %}{% macro f() %}{% set ns.c = caller %}{% endmacro %}"
       "{% call f() %}{% endcall %}{{ (ns.c)() }}",
       "the method c() is not supported"},
      {"{% set ns = namespace() %}{% macro f() %}{% set ns.c = caller %}{% endmacro %}"
       "{% call f() %}{% endcall %}{{ [ns.c][0]() }}",
       "caller() is called after the end of its block"},
  };
  for (const auto& [source, error] : kCases) {
    SCOPED_TRACE(source);
    EXPECT_THAT(error_of(source, context), HasSubstr(error));
  }
}

TEST(Jinja, JsonThatTemplatesReadKeepsItsOrder) {
  EXPECT_EQ(render("{{ x | from_json | tojson }}", {{"x", R"({"b": [1, 2.5], "a": null})"}}),
            R"({"b": [1, 2.5], "a": null})");
}

TEST(Jinja, VariablesMustFit) {
  EXPECT_THAT(error_of("", Json::array()), HasSubstr("must be an object"));
  EXPECT_THAT(error_of("", {{"n", 9223372036854775808u}}), HasSubstr("is too large"));
  Json deep = 1;
  for (int i = 0; i < 200; ++i) deep = Json::array({deep});
  EXPECT_THAT(error_of("", {{"deep", deep}}), HasSubstr("deeper than"));
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Jinja, NothingEndless) {
  EXPECT_THAT(error_of("{% for i in range(10000000000) %}{% endfor %}"), HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{% for i in range(100000) %}{% for j in range(100000) %}"
                       "{% if i == j %}{% endif %}{% endfor %}{% endfor %}"),
              HasSubstr("steps"));
  // Every way for a macro to call itself: each needs the stack in another way.
  for (const char* macro : {
           "f() %}{{ f() }}",
           "f(a=f()) %}",
           "f() %}{{ 'a' | replace('a', f()) }}",
           "f() %}{{ 'a'[1:2:f()] }}",
           "f() %}{% if f() is defined %}{% endif %}",
           "f() %}{% for i in [1] %}{{ f() }}{% endfor %}",
           "f() %}{% with x={'a': f()} %}{% endwith %}",
           "f() %}{% filter upper %}{{ f() }}{% endfilter %}",
           "f() %}{% set x %}{{ f() }}{% endset %}",
           "f() %}{% call f() %}{% endcall %}",
           "g() %}{{ caller() }}{% endmacro %}{% macro f() %}{% call g() %}{{ f() }}{% endcall %}",
       }) {
    EXPECT_THAT(error_of(fmt::format("{{% macro {}{{% endmacro %}}{{{{ f() }}}}", macro)),
                HasSubstr("nests deeper than"))
        << macro;
  }
  EXPECT_THAT(error_of("{% set ns = namespace(l=[]) %}"
                       "{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}"),
              HasSubstr("nests lists deeper than"));
}

TEST(Jinja, NothingHuge) {
  EXPECT_THAT(error_of("{{ 'a' * 10000000000 }}"), HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{{ [1] * 9223372036854775807 }}"), HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}"
                       "{% set ns.s = ns.s + ns.s %}{% endfor %}"),
              HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{% set s = 'a' * 1000000 %}{{ s | replace('a', s) }}"),
              HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{{ 'a' | indent(10000000000, true) }}"), HasSubstr("MiB of text"));
  EXPECT_THAT(error_of("{{ '%99999999d' % 1 }}"), HasSubstr("width"));
  EXPECT_THAT(error_of("{{ [1] | tojson(indent=10000000000) }}"), HasSubstr("MiB of text"));
  // Each list holds the last one twice: printing all would take 2^90 steps.
  EXPECT_THAT(error_of("{% set ns = namespace(l=[1]) %}{% for i in range(90) %}"
                       "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}"),
              HasSubstr("more than"));
}

TEST(Jinja, NothingTooDeep) {
  for (const auto& [open, close] : {std::pair{"(", ")"},
                                    {"[", "]"},
                                    {"{1:", "}"},
                                    {"not ", ""},
                                    {"-", ""},
                                    {"a if b else ", ""},
                                    {"a|d(", ")"},
                                    {"a[", "]"}}) {
    EXPECT_THAT(error_of("{{ " + repeated(open, 10000) + "1" + repeated(close, 10000) + " }}"),
                HasSubstr("test: line 1:"))
        << open;
  }
  EXPECT_THAT(error_of("{{ 1" + repeated(" + 1", 1000) + " }}"), HasSubstr("too long"));
  EXPECT_THAT(error_of("{{ a" + repeated(".a", 1000) + " }}"), HasSubstr("too long"));
  EXPECT_THAT(error_of(repeated("{% if 1 %}", 1000)), HasSubstr("nest too deep"));
  EXPECT_THAT(error_of("{{ 'a' | map(" + repeated("'map', ", 2000) + "'map') | list }}"),
              HasSubstr("nests deeper than"));
  EXPECT_THAT(error_of(std::string(2 << 20, 'a')), HasSubstr("bytes, more than"));
}

TEST(Jinja, LongChainsThatAreNoDeeper) {
  EXPECT_EQ(render("{{ 1" + repeated(" ~ 1", 1000) + " }}"), repeated("1", 1001));
  EXPECT_EQ(render("{% if 0 %}" + repeated("{% elif 0 %}", 1000) + "{% else %}x{% endif %}"), "x");
}

}  // namespace
}  // namespace r1::text
