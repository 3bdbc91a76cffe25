int phi_model_unused;
