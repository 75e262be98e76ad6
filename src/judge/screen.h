#pragma once

#include <string>

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// The verdict on one screen: at most 80 columns, plain text.
std::string screen(const Dossier& dossier, const Report& report);

}  // namespace paceline::judge
