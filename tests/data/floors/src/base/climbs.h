#include "model/above.h"
