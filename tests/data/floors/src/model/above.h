#include "base/climbs.h"
