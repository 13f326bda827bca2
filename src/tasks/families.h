#pragma once

#include <memory>

#include "tasks/task.h"

// The constructors behind the registry, one per source file.
namespace r1::tasks {

std::unique_ptr<Task> make_arithmetic();
std::unique_ptr<Task> make_countdown();
std::unique_ptr<Task> make_gcd();
std::unique_ptr<Task> make_linear();
std::unique_ptr<Task> make_base();
std::unique_ptr<Task> make_modular();
std::unique_ptr<Task> make_list();
std::unique_ptr<Task> make_knights();

}  // namespace r1::tasks
