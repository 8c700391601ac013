/* The code books of the IQ types, packed: 2 bits (three values) or 3 bits (eight) per element,
 * element 0 lowest. */
#ifndef SPRAT__IQ_GRIDS_H
#define SPRAT__IQ_GRIDS_H

#include <stdint.h>

extern const uint16_t sprat__grid_iq2xxs[256]; /* 8 elements: 0 1 2 are 8 25 43 */
extern const uint16_t sprat__grid_iq2xs[512];
extern const uint16_t sprat__grid_iq2s[1024];
extern const uint16_t sprat__grid_iq3xxs[256]; /* 4 elements: 4 12 20 28 36 44 52 62 */
extern const uint16_t sprat__grid_iq3s[512];   /* 4 elements: 1 3 5 7 9 11 13 15 */
extern const uint16_t sprat__grid_iq1s[2048];  /* 8 elements: -1 0 1 */

#endif
