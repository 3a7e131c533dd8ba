/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_FIT_H
#define NDBUF_TOOLS_FIT_H

#define FIT_MAX_UNKNOWNS 6

/* A measurement: what it consists of, and what it took. */
typedef struct fit_row {
    double counts[FIT_MAX_UNKNOWNS];
    double ns; /* > 0 */
} fit_row;

/* What one of each costs, none below 0: the least squares of the relative errors. Unknowns that no row has are 0. */
void fit_costs(const fit_row *rows, int nrows, int nunknowns, double *out_costs);

/* The time that the costs predict for a row. */
double fit_predict(const fit_row *row, int nunknowns, const double *costs);

#endif
