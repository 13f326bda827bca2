#include "formats/sibling.h"
