/* complete MODEL PROMPT TOKENS: continues a text, as a C program that uses libphi does it. */
#include <phi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    phi_model *model = NULL;
    phi_session *session = NULL;
    phi_generation *text = NULL;
    phi_generation_options options = PHI_GENERATION_OPTIONS_INIT;
    phi_piece piece = PHI_PIECE_INIT;
    phi_status status;
    if (argc != 4) return 64;
    options.maximum_tokens = atoi(argv[3]);
    if ((status = phi_model_open(argv[1], &model)) == PHI_OK && (status = phi_session_open(model, NULL, &session)) == PHI_OK &&
        (status = phi_generation_begin_text(session, argv[2], strlen(argv[2]), &options, &text)) == PHI_OK)
        while ((status = phi_generation_next(text, &piece)) == PHI_OK) fwrite(piece.text, 1, piece.text_length, stdout);
    if (status != PHI_END) fprintf(stderr, "complete: %s\n", phi_error_message());
    phi_generation_end(text);
    phi_session_close(session);
    phi_model_close(model);
    return status == PHI_END ? 0 : 1;
}
